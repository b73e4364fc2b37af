package asserts

import (
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target/arch"
)

// nullLimit is the end of the addresses taken for a null pointer and an offset.
const nullLimit = 4096

// stackReach is how far below and above the stack pointer an access may fall to
// be taken for one of the stack's own.
const (
	stackBelow = 4096
	stackAbove = 64 << 10
)

// Bits of the x86 page-fault error code (SDM vol. 3, 4.7).
const (
	pfPresent  = 1 << 0
	pfWrite    = 1 << 1
	pfReserved = 1 << 3
	pfFetch    = 1 << 4
	pfKey      = 1 << 5
)

func (s *scene) x86PageFault() {
	f := s.f
	ec := f.ErrorCode
	if ec.Known && f.Access == "" {
		switch {
		case ec.V&pfFetch != 0:
			f.Access = Exec
		case ec.V&pfWrite != 0:
			f.Access = Write
		default:
			f.Access = Read
		}
	}
	s.operandAddress()
	if ec.Known && ec.V&pfKey != 0 || f.Kind == ProtectionKey {
		s.protectionKey()
		return
	}
	if ec.Known && ec.V&pfReserved != 0 {
		f.Subkind = SubReservedBit
		return
	}
	s.addressClass(pageState{
		present: ec.Known && ec.V&pfPresent != 0 || s.page.present,
		absent:  ec.Known && ec.V&pfPresent == 0 || s.page.absent,
	}, f.Reg("rsp"))
}

// operandAddress computes the address from the instruction if it was not told.
func (s *scene) operandAddress() {
	f := s.f
	if !f.PC.Known || f.Address.Known && f.Access != "" {
		return
	}
	op, ok := s.x86Operand(s.code(f.PC.V, 16))
	if !ok || !op.addr.Known {
		return
	}
	if f.Address.Known {
		// A signal tells the address alone.
		if f.Address.V-op.addr.V < 64 && op.access != "" {
			f.Access = op.access
			f.infer(string(op.access) + ": from the instruction at pc")
		}
		return
	}
	f.InferredAddress = op.addr
	f.infer(fmt.Sprintf("address %#x: from the instruction at pc (%s) and the registers", op.addr.V, op.text))
	if f.Access == "" && op.access != "" {
		f.Access = op.access
		f.infer(string(op.access) + ": from the instruction at pc")
	}
}

// pageState is what an error code tells of the page: whether a mapping was
// there. Both are false if it tells nothing.
type pageState struct{ present, absent bool }

// addressClass names the subkind of a fault on an address, or of a jump to one.
func (s *scene) addressClass(p pageState, sp Word) {
	f := s.f
	if f.Subkind != "" {
		return
	}
	addr := f.Address
	if !addr.Known {
		addr = f.InferredAddress
	}
	if s.jump(addr, p) {
		return
	}
	switch {
	case addr.Known && addr.V < nullLimit:
		f.Subkind = SubNullDereference
		f.infer("null pointer: the address is in the first page")
	case addr.Known && f.Arch == arch.ARM64 && !canonicalARM64(addr.V):
		f.Subkind = SubNonCanonical
	case addr.Known && !p.present && s.stackAccess(addr.V, sp):
		f.Kind = StackOverflow
		if lo := s.m.StackLow; addr.V < lo && lo-addr.V <= stackBelow {
			f.Subkind = SubGuardPage
		}
		f.infer(fmt.Sprintf("stack overflow: the address is next to the stack pointer (%#x) and not mapped", sp.V))
	case p.present && f.Access == Write:
		f.Subkind = SubWriteToReadOnly
	case p.present:
		f.Subkind = SubProtection
	case p.absent:
		f.Subkind = SubNotPresent
	}
}

// canonicalARM64 says that a 48-bit virtual address is well formed, with or
// without a tag in its top byte.
func canonicalARM64(a uint64) bool {
	mid := a >> 48 & 0xff
	return mid == 0 || mid == 0xff
}

// jump handles faults of instruction fetch.
func (s *scene) jump(addr Word, p pageState) bool {
	f := s.f
	fetch := f.Access == Exec
	if !fetch && f.PC.Known && f.Access == "" && (f.PC.V < nullLimit || s.outsideImage(f.PC.V)) {
		fetch = true
		f.Access = Exec
		f.infer("instruction fetch: no code is at pc")
	}
	if !fetch {
		return false
	}
	to := addr
	if !to.Known && f.PC.Known {
		to = f.PC
		f.InferredAddress = f.PC
		f.infer("address: an instruction fetch faults at pc")
	}
	switch {
	case !to.Known:
		return true
	case to.V < nullLimit:
		f.Subkind = SubNullCall
	case p.present:
		f.Subkind = SubExecuteNoExecute
	default:
		f.Subkind = SubWildJump
	}
	s.caller()
	return true
}

// caller finds who jumped into nowhere: the return address is still on top of
// the stack, or in the link register. A chain of frame pointers misses it, since
// no function was entered.
func (s *scene) caller() {
	f := s.f
	if f.Arch == nil {
		return // the text tells of an address only
	}
	var ret Word
	how := "word at the stack pointer"
	if f.Arch.Name == "arm64" {
		ret, how = f.Reg("x30"), "link register"
	} else if sp := f.Reg("rsp"); sp.Known {
		ret = s.word(sp.V)
	}
	if !ret.Known || ret.V < nullLimit || !s.plausible(ret.V) {
		return
	}
	if len(f.Backtrace) == 0 || f.Backtrace[0].Kind != AtPC {
		f.Backtrace = slices.Insert(f.Backtrace, 0, CodeAddr{Addr: f.PC.V, Kind: AtPC})
	}
	c := CodeAddr{Addr: ret.V, Kind: ReturnAddr, How: how}
	f.infer(calledFrom + s.place(ret.V) + ": the " + how)
	if len(f.Backtrace) > 1 && f.Backtrace[1].Lookup() == c.Lookup() {
		return
	}
	f.Backtrace = slices.Insert(f.Backtrace, 1, c)
	f.Backtrace = f.Backtrace[:min(len(f.Backtrace), maxBacktrace)]
}

// calledFrom begins the note of who jumped into nowhere.
const calledFrom = "called from before "

// codeReach is how far apart two addresses of one image's code may be.
const codeReach = 64 << 20

// plausible says that v may be a return address: it is in the image, or, without
// one, near a return address that was printed.
func (s *scene) plausible(v uint64) bool {
	if s.m.Symbol != nil {
		return !s.outsideImage(v)
	}
	for _, c := range s.f.Backtrace {
		if c.Kind != AtPC {
			return v-c.Addr+codeReach < 2*codeReach
		}
	}
	return true
}

// stackAccess says that addr is one the stack pointer points to or next to.
func (s *scene) stackAccess(addr uint64, sp Word) bool {
	if !sp.Known || s.f.Access == Exec {
		return false
	}
	if lo := s.m.StackLow; lo != 0 && addr >= lo && addr <= s.m.StackHigh {
		return false // inside the stack: something else is wrong
	}
	return addr-(sp.V-stackBelow) < stackBelow+stackAbove
}

// stackExhausted tells, for a double fault, that the stack pointer had left its
// stack.
func (s *scene) stackExhausted() {
	sp := s.f.Reg("rsp")
	if !sp.Known {
		return
	}
	lo := s.m.StackLow
	left := lo != 0 && sp.V < lo+256 && sp.V+stackAbove > lo
	if !left && s.m.Memory != nil && s.f.Source.Format == MachineFormat {
		left = len(s.code(sp.V-8, 8)) == 0
	}
	if left {
		s.f.Kind = StackOverflow
		s.f.infer(fmt.Sprintf("stack overflow: the stack pointer (%#x) has left the stack, so the trap itself could not be pushed", sp.V))
	}
}
