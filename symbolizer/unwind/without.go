package unwind

import (
	"bytes"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target/arch"
)

// without fills in the caller of a frame that call frame information says
// nothing of.
func (u *Unwinder) without(f, caller *Frame, top bool) error {
	*caller = Frame{Regs: caller.Regs}
	for num := range arch.MaxRegs {
		caller.Regs.Forget(num)
	}
	f.CFA = 0
	u.keep(f, caller)
	switch {
	case top && u.byPrologue(f, caller):
		caller.How = Prologue
	case u.byFramePointer(f, caller):
		caller.How = FramePointer
	case top && !u.opt.NoScan && u.byScan(f, caller):
		caller.How = Scan
	default:
		return errRules
	}
	return nil
}

// isCode reports whether addr is code of a known image.
func (u *Unwinder) isCode(addr uint64) bool {
	m, ok := u.mods.Find(addr)
	return ok && m.IsCode(addr)
}

// byPrologue finds the caller of a function whose code shows what it pushed so
// far.
func (u *Unwinder) byPrologue(f, caller *Frame) bool {
	a := f.Regs.Arch
	sp, ok := f.Regs.Get(a.SP)
	if !ok {
		return false
	}
	if a.LR != arch.None {
		return u.byARM64Prologue(f, caller, sp)
	}
	pushed, framed := u.x86Prologue(f.PC)
	if framed {
		return false
	}
	slot := sp + pushed
	ra, err := u.stack.Mem(slot, 8)
	if err != nil || !u.afterCall(ra) {
		return false
	}
	f.CFA = slot + 8
	caller.Regs.Set(a.PC, ra)
	caller.Regs.Set(a.SP, f.CFA)
	if pushed == 8 {
		if fp, err := u.stack.Mem(sp, 8); err == nil {
			caller.Regs.Set(a.FP, fp)
		}
	}
	return true
}

func (u *Unwinder) sameFunction(a, b uint64) bool {
	m, ok := u.mods.Find(a)
	if !ok || !m.Contains(b) {
		return false
	}
	x, ok1 := m.Symbol(a)
	y, ok2 := m.Symbol(b)
	return ok1 && ok2 && x.Addr == y.Addr
}

// x86Prologue looks at the start of the function at pc: framed tells that the
// frame pointer is set up at pc, pushed how many bytes were pushed so far if
// not. A function that does not start with push %rbp makes no frame.
func (u *Unwinder) x86Prologue(pc uint64) (pushed uint64, framed bool) {
	m, ok := u.mods.Find(pc)
	if !ok {
		return 0, false
	}
	sym, ok := m.Symbol(pc)
	if !ok {
		return 0, false
	}
	code, ok := m.Image.Data(m.Link(sym.Addr), 8)
	if !ok {
		return 0, false
	}
	at := pc - sym.Addr
	off := uint64(0)
	if bytes.HasPrefix(code, []byte{0xf3, 0x0f, 0x1e, 0xfa}) { // endbr64
		off = 4
	}
	if !bytes.HasPrefix(code[off:], []byte{0x55, 0x48, 0x89, 0xe5}) { // push %rbp; mov %rsp,%rbp
		return 0, false
	}
	switch at -= off; {
	case int64(at) <= 0:
		return 0, false
	case at < 4:
		return 8, false
	}
	return 0, true
}

// byFramePointer follows the frame record the frame pointer points to: the
// caller's frame pointer and the return address.
func (u *Unwinder) byFramePointer(f, caller *Frame) bool {
	a := f.Regs.Arch
	fp, ok := f.Regs.Get(a.FP)
	sp, haveSP := f.Regs.Get(a.SP)
	if !ok || fp%8 != 0 || fp == 0 || fp+16 < fp || haveSP && fp < sp {
		return false
	}
	next, err1 := u.stack.Mem(fp, 8)
	ra, err2 := u.stack.Mem(fp+8, 8)
	ra = a.StripPAC(ra)
	if err1 != nil || err2 != nil || ra != 0 && !u.isCode(ra) {
		return false
	}
	f.CFA = fp + 16
	caller.Regs.Set(a.FP, next)
	caller.Regs.Set(a.PC, ra)
	if a.LR == arch.None {
		caller.Regs.Set(a.SP, f.CFA)
	}
	// On arm64 the record may be anywhere in the frame, so the caller's stack
	// pointer is not known.
	return true
}

// scanWords bounds the search of the stack, in words.
const scanWords = 512

// byScan takes the first word on the stack that is the address after a call.
func (u *Unwinder) byScan(f, caller *Frame) bool {
	a := f.Regs.Arch
	sp, ok := f.Regs.Get(a.SP)
	if !ok {
		return false
	}
	sp &^= 7
	for slot := sp; slot < sp+8*scanWords && slot >= sp; slot += 8 {
		v, err := u.stack.Mem(slot, 8)
		if err != nil {
			return false
		}
		v = a.StripPAC(v)
		if !u.afterCall(v) {
			continue
		}
		caller.Regs.Set(a.PC, v)
		f.CFA = slot + 8
		if a.LR == arch.None {
			caller.Regs.Set(a.SP, f.CFA)
		}
		if fp, ok := f.Regs.Get(a.FP); ok && fp < f.CFA {
			caller.Regs.Forget(a.FP) // it belongs to a frame passed over
		}
		return true
	}
	return false
}

// afterCall reports whether addr is code and follows a call instruction.
func (u *Unwinder) afterCall(addr uint64) bool {
	m, ok := u.mods.Find(addr - 1)
	if !ok || !m.IsCode(addr-1) {
		return false
	}
	if m.Image.Arch() == arch.ARM64 {
		return arm64Call(m, addr)
	}
	return x86Call(m, addr)
}

func arm64Call(m symbolizer.Mapping, addr uint64) bool {
	b, ok := m.Image.Data(m.Link(addr-4), 4)
	if !ok || addr%4 != 0 {
		return false
	}
	w := binary.LittleEndian.Uint32(b)
	const bl, blr = 0x94000000, 0xd63f0000
	return w&0xfc000000 == bl || w&0xfffffc1f == blr
}

// x86Call looks for call rel32 and the forms of call r/m64 (opcode ff /2), whose
// length depends on the addressing mode.
func x86Call(m symbolizer.Mapping, addr uint64) bool {
	before := func(n uint64) []byte {
		b, _ := m.Image.Data(m.Link(addr-n), int(n))
		return b
	}
	if b := before(5); b != nil && b[0] == 0xe8 {
		return true
	}
	for _, n := range []uint64{2, 3, 4, 6, 7} {
		b := before(n)
		if b == nil || b[0] != 0xff || b[1]>>3&7 != 2 {
			continue
		}
		mod, rm := b[1]>>6, b[1]&7
		want := uint64(2)
		base := rm
		if rm == 4 && mod != 3 {
			want++ // a SIB byte
			if n >= 3 {
				base = b[2] & 7
			}
		}
		switch {
		case mod == 1:
			want++
		case mod == 2, mod == 0 && base == 5:
			want += 4
		}
		if want == n {
			return true
		}
	}
	return false
}
