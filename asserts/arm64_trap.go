package asserts

import (
	"fmt"
)

// Exception classes of ESR_EL1[31:26] (Arm ARM D17.2.37).
const (
	ecUnknown      = 0x00
	ecFP           = 0x07
	ecBTI          = 0x0d
	ecIllegalState = 0x0e
	ecSVE          = 0x19
	ecFPAC         = 0x1c
	ecFetchLower   = 0x20
	ecFetch        = 0x21
	ecPCAlign      = 0x22
	ecDataLower    = 0x24
	ecData         = 0x25
	ecSPAlign      = 0x26
	ecFPException  = 0x2c
	ecGCS          = 0x2d
	ecSError       = 0x2f
	ecDebugFirst   = 0x30
	ecDebugLast    = 0x35
	ecBRK          = 0x3c
)

// arm64 classifies by the syndrome register, or by the instruction at pc if it
// is not known.
func (s *scene) arm64() bool {
	f := s.f
	if f.Kind == MemoryTag && f.Subkind == "asynchronous" {
		return true
	}
	if f.Kind == PageFault && !f.ErrorCode.Known {
		s.addressClass(s.page, f.Reg("sp"))
		return true
	}
	if !f.ErrorCode.Known {
		return s.arm64Guess()
	}
	esr := f.ErrorCode.V
	iss := esr & 0x1ffffff
	switch ec := esr >> 26 & 0x3f; ec {
	case ecUnknown:
		s.arm64Undefined()
	case ecBRK:
		s.arm64Break(esr & 0xffff)
	case ecFetch, ecFetchLower, ecData, ecDataLower:
		s.arm64Abort(ec, iss)
	case ecFP:
		s.fpDisabled("an instruction that uses floating-point or SIMD registers", "CPACR_EL1.FPEN; Unikraft enables them by CONFIG_FPSIMD")
	case ecSVE:
		s.fpDisabled("an SVE instruction", "CPACR_EL1.ZEN")
	case ecFPException:
		flags := iss & 0x1f
		if iss>>23&1 == 0 { // TFV
			flags = 0
		}
		s.fpException(flags)
	case ecBTI:
		f.Kind = BranchTarget
		f.detail("btype", fmt.Sprint(iss&3))
		s.reason("an indirect branch went to an instruction that is no landing pad (BTI)")
	case ecFPAC:
		f.Kind, f.Subkind = PointerAuthentication, SubPointerAuthFailed
		key := [...]string{"instruction A", "instruction B", "data A", "data B"}[iss&3]
		f.detail("key", key)
		s.reason("a pointer's authentication code was wrong (key " + key + ")")
	case ecPCAlign:
		f.Kind = Alignment
		f.Subkind = "pc"
		s.reason("the program counter is not aligned: a jump to a wild address")
		s.caller()
	case ecSPAlign:
		f.Kind, f.Subkind = Alignment, "sp"
		s.reason("the stack pointer is not aligned to 16")
	case ecGCS:
		f.Kind, f.Subkind = ControlProtection, "guarded-control-stack"
		s.reason("guarded control stack check failed")
	case ecSError:
		f.Kind, f.Subkind = MachineCheck, "serror"
		s.reason("system error interrupt (SError)")
	case ecIllegalState:
		f.Kind, f.Subkind = UnknownTrap, "illegal-state"
		s.reason("illegal execution state")
	default:
		if ec >= ecDebugFirst && ec <= ecDebugLast {
			f.Kind = DebugTrap
		}
		s.reason(arm64Class(ec))
	}
	return true
}

// arm64Guess decides by the instruction at pc alone.
func (s *scene) arm64Guess() bool {
	w := s.half(s.f.PC.V)
	if !w.Known {
		return false
	}
	switch {
	case w.V&0xffe0001f == 0xd4200000:
		s.f.infer("trap: the instruction at pc is a brk")
		s.arm64Break(w.V >> 5 & 0xffff)
	case w.V>>16 == 0:
		s.f.infer("trap: the instruction at pc is permanently undefined")
		s.arm64Undefined()
	default:
		return false
	}
	return true
}

// crashUDF is the operand of the udf UK_CRASH executes (lib/ukdebug).
const crashUDF = 0xdeff

func (s *scene) arm64Undefined() {
	f := s.f
	w := s.half(f.PC.V)
	if w.Known && (w.V == crashUDF || s.m.Explicit == Value(1) && w.V>>16 == 0) {
		s.explicit()
		return
	}
	if f.Kind == ExplicitCrash {
		return
	}
	f.Kind, f.Subkind = InvalidOpcode, SubUndefinedOpcode
	reason := "undefined instruction"
	if w.Known {
		reason += fmt.Sprintf(" %#08x", w.V)
	}
	s.reason(reason)
}

// arm64Break explains a brk by its operand: the compilers and kernels that use
// one each have their range.
func (s *scene) arm64Break(imm uint64) {
	f := s.f
	f.detail("brk", fmt.Sprintf("%#x", imm))
	f.Kind = Breakpoint
	switch {
	case imm>>8 == 0x55:
		s.sanitizerTrap(imm & 0xff)
	case imm >= 0x8000 && imm <= 0x83ff:
		expected := f.Reg(fmt.Sprintf("x%d", imm>>5&31))
		expected.V &= 0xffffffff
		s.kcfi(fmt.Sprintf("x%d", imm&31), expected)
	case imm >= 0x900 && imm <= 0x93f:
		s.tagCheck(imm)
	case imm == 1, imm == 0x3e8:
		f.Subkind = SubCompilerTrap
		s.reason("a trap the compiler or the program put there (__builtin_trap)")
	case imm == 0x800:
		f.Kind = Bug
		s.reason("BUG() was reached")
	default:
		s.reason(fmt.Sprintf("brk #%#x", imm))
	}
}

// tagCheck is a failed check of software tags (HWASan, tag-based KASAN): bit 4
// write, bits 3:0 log2 of the size or 0xf for the size in x1, address in x0.
func (s *scene) tagCheck(imm uint64) {
	f := s.f
	f.Kind, f.Subkind = AddressSanitizer, SubHWAddress
	f.Access = Read
	if imm&0x10 != 0 {
		f.Access = Write
	}
	f.Address = f.Reg("x0")
	size := Value(1 << (imm & 0xf))
	if imm&0xf == 0xf {
		size = f.Reg("x1")
	}
	if size.Known {
		f.detail("size", fmt.Sprint(size.V))
	}
	s.reason(string(f.Access) + " through a pointer whose tag does not match the memory's")
}

// arm64Abort explains instruction and data aborts by their fault status.
func (s *scene) arm64Abort(ec, iss uint64) {
	f := s.f
	far := f.Reg("FAR_EL1")
	const notValid = 1 << 10 // FnV
	if far.Known && iss&notValid == 0 {
		f.Address = far
	}
	if f.Kind != StackOverflow {
		f.Kind = PageFault
	}
	switch {
	case ec == ecFetch || ec == ecFetchLower:
		f.Access = Exec
		if !f.Address.Known {
			f.InferredAddress = f.PC
			f.infer("address: an instruction abort is at pc")
		}
	case iss&0x40 != 0:
		f.Access = Write
	default:
		f.Access = Read
	}
	if f.Access != Exec {
		s.arm64Operand()
	}
	status := iss & 0x3f
	f.detail("fault status", faultStatus(status))
	switch {
	case status == 0x11:
		f.Kind, f.Subkind = MemoryTag, "synchronous"
		s.reason(string(f.Access) + " through a pointer whose tag does not match the memory's (MTE)")
		return
	case status == 0x21:
		f.Kind = Alignment
		s.reason("unaligned " + string(f.Access))
		return
	case status == 0x10 || status >= 0x14 && status <= 0x17:
		f.Kind, f.Subkind = MachineCheck, "external-abort"
		s.reason("external abort on " + string(f.Access))
		return
	}
	if s.corruptPAC() {
		return
	}
	s.addressClass(pageState{
		present: status >= 0x0c && status <= 0x0f,
		absent:  status >= 0x04 && status <= 0x07,
	}, f.Reg("sp"))
}

// corruptPAC recognises a jump to a pointer whose authentication failed on a
// processor without FPAC: the error code in bits 62:61.
func (s *scene) corruptPAC() bool {
	f := s.f
	if f.Access != Exec || !f.Address.Known || f.Address.V != f.PC.V {
		return false
	}
	code := f.Address.V >> 61 & 3
	if code != 1 && code != 2 || f.Address.V>>48&0x9f != 0 {
		return false
	}
	f.Kind, f.Subkind = PointerAuthentication, SubPointerAuthFailed
	f.infer("pointer authentication: bits 62:61 of the address are the mark of a failed check")
	s.reason("a jump through a pointer whose authentication code was wrong")
	return true
}

// faultStatus names DFSC or IFSC (Arm ARM D17.2.37).
func faultStatus(c uint64) string {
	level := fmt.Sprintf(", level %d", c&3)
	switch {
	case c < 0x04:
		return SubAddressSize + level
	case c < 0x08:
		return SubTranslationFault + level
	case c < 0x0c:
		return SubAccessFlag + level
	case c < 0x10:
		return SubPermission + level
	case c == 0x10:
		return "external abort"
	case c == 0x11:
		return "tag check"
	case c == 0x21:
		return "alignment"
	}
	return fmt.Sprintf("%#x", c)
}
