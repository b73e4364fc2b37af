package unwind

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target/arch"
)

// arm64Frame is what the instructions of a function up to some place did to the
// stack.
type arm64Frame struct {
	// size is how far the stack pointer was lowered, in bytes.
	size int64
	// saved holds where registers 0 to 30 were stored, as the distance below
	// the stack pointer the function began with plus one; 0 if they were not.
	saved [31]int64
}

// arm64Code bounds how many instructions before the place are looked at.
const arm64Code = 1024

// arm64Prologue reads the function around pc from its start up to pc. It takes
// the code as it lies there; behind a return or jump it goes on with the frame
// from before it was taken down. Where no symbol tells the start, nothing was
// done to the stack. ok is false if the stack pointer cannot be followed.
//
// Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), section
// C4.1: add and subtract immediate, load and store of a register and of a pair.
func (u *Unwinder) arm64Prologue(pc uint64) (f arm64Frame, ok bool) {
	m, ok := u.mods.Find(pc)
	if !ok {
		return f, true
	}
	sym, ok := m.Symbol(pc)
	if !ok {
		return f, true
	}
	if pc-sym.Addr > 4*arm64Code || pc%4 != 0 || sym.Addr%4 != 0 {
		return f, false
	}
	var whole arm64Frame // as it was before it was taken down
	for at := sym.Addr; at < pc; at += 4 {
		b, ok := m.Image.Data(m.Link(at), 4)
		if !ok {
			return f, false
		}
		w := binary.LittleEndian.Uint32(b)
		before := f.size
		was := f
		if !f.apply(w) {
			return f, false
		}
		switch {
		case f.size < before:
			if before >= whole.size {
				whole = was
			}
			f.drop()
		case leaves(w) && f.size < whole.size:
			f, whole = whole, arm64Frame{}
		}
	}
	return f, true
}

// drop forgets registers stored where the stack is no more: they were loaded
// again.
func (f *arm64Frame) drop() {
	for i, below := range f.saved {
		if below-1 > f.size {
			f.saved[i] = 0
		}
	}
}

// leaves tells instructions behind which the code is not that of the same path:
// ret, br, b and eret.
func leaves(w uint32) bool {
	return w&0xfffffc1f == 0xd65f0000 || w&0xfffffc1f == 0xd61f0000 || w&0xfc000000 == 0x14000000 || w == 0xd69f03e0
}

const arm64SPField = 31 // as a base register

// apply follows one instruction. It returns false if the stack pointer is not
// known after it.
func (f *arm64Frame) apply(w uint32) bool {
	rn, rd := w>>5&31, w&31
	switch {
	case w&0xbf800000 == 0x91000000 && rd == arm64SPField: // add, sub (immediate)
		if rn != arm64SPField {
			return false // mov sp, x29 and the like
		}
		n := int64(w>>10&0xfff) << (12 * (w >> 22 & 1))
		if w>>30&1 == 0 {
			n = -n
		}
		f.size += n
	case w&0xbfe00000 == 0x8b200000 && rd == arm64SPField, // add, sub (extended register)
		w&0xff800000 == 0x92000000 && rd == arm64SPField: // and (immediate)
		return false
	case rn != arm64SPField:
	case w&0x3a000000 == 0x28000000: // stp, ldp
		f.pair(w)
	case w&0x3b200400 == 0x38000400: // str, ldr, post- or pre-indexed
		f.single(w, int64(int32(w<<11)>>23), w>>11&1 != 0, true)
	case w&0x3b000000 == 0x39000000: // str, ldr, unsigned offset
		f.single(w, int64(w>>10&0xfff)<<(w>>30), true, false)
	}
	return true
}

// pair follows stp and ldp from the stack pointer.
func (f *arm64Frame) pair(w uint32) {
	vector, opc := w>>26&1 != 0, w>>30
	scale := int64(8)
	switch {
	case vector:
		scale = 4 << opc
	case opc != 2:
		scale = 4
	}
	off := int64(int32(w<<10)>>25) * scale
	mode := w >> 23 & 3 // 1 post-index, 2 offset, 3 pre-index
	at := off
	if mode == 1 {
		at = 0
	}
	if !vector && opc == 2 && w>>22&1 == 0 {
		f.save(w&31, at)
		f.save(w>>10&31, at+8)
	}
	if mode&1 != 0 {
		f.size -= off
	}
}

// single follows str and ldr from the stack pointer.
func (f *arm64Frame) single(w uint32, off int64, before, writeBack bool) {
	at := off
	if !before {
		at = 0
	}
	if w>>26&1 == 0 && w>>30 == 3 && w>>22&3 == 0 { // str of an x register
		f.save(w&31, at)
	}
	if writeBack {
		f.size -= off
	}
}

// save notes a register stored at an offset from the stack pointer. What was
// stored first counts: later stores are of values of the function's own.
func (f *arm64Frame) save(reg uint32, off int64) {
	if below := f.size - off; reg < 31 && f.saved[reg] == 0 && below > 0 {
		f.saved[reg] = below + 1
	}
}

// byARM64Prologue finds the caller of a function from what its code up to pc did.
func (u *Unwinder) byARM64Prologue(f, caller *Frame, sp uint64) bool {
	a := f.Regs.Arch
	p, ok := u.arm64Prologue(f.PC)
	if !ok || p.size < 0 {
		return false
	}
	cfa := sp + uint64(p.size)
	if p.saved[a.LR] != 0 {
		lr, err := u.stack.Mem(cfa-uint64(p.saved[a.LR]-1), 8)
		if lr = a.StripPAC(lr); err != nil || lr != 0 && !u.isCode(lr) {
			return false
		}
		caller.Regs.Set(a.PC, lr)
	} else {
		lr, ok := f.Regs.Get(a.LR)
		lr = a.StripPAC(lr)
		// A link register into the function itself is left from a call it
		// made.
		if !ok || !u.isCode(lr) || u.sameFunction(f.PC, lr-1) {
			return false
		}
		caller.Regs.Set(a.PC, lr)
	}
	for _, num := range a.CalleeSaved {
		if num < arch.ARM64X0 || num-arch.ARM64X0 >= a.LR || p.saved[num-arch.ARM64X0] == 0 {
			continue
		}
		if v, err := u.stack.Mem(cfa-uint64(p.saved[num-arch.ARM64X0]-1), 8); err == nil {
			caller.Regs.Set(num, v)
		} else {
			caller.Regs.Forget(num)
		}
	}
	caller.Regs.Set(a.SP, cfa)
	f.CFA = cfa
	return true
}
