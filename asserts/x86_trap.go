package asserts

import (
	"fmt"
	"slices"
	"strings"
)

// trapPageFault is the x86 vector of #PF.
const trapPageFault = 14

// x86TrapKind gives the kind of an x86 vector (Intel SDM vol. 3, table 6-1).
func x86TrapKind(n uint64) Kind {
	switch n {
	case 0:
		return DivideError
	case 1:
		return DebugTrap
	case 3:
		return Breakpoint
	case 6:
		return InvalidOpcode
	case 8:
		return DoubleFault
	case 12, 13:
		return GeneralProtection
	case 14:
		return PageFault
	case 7, 16, 19:
		return FloatingPoint
	case 17:
		return Alignment
	case 18:
		return MachineCheck
	case 21:
		return ControlProtection
	}
	return UnknownTrap
}

// x86 classifies by vector, or by the bytes at pc if the vector is not known.
func (s *scene) x86() bool {
	f := s.f
	if f.Kind == UnknownTrap && f.TrapNumber.Known {
		f.Kind = x86TrapKind(f.TrapNumber.V)
	}
	if f.Kind == PageFault || f.Kind == GeneralProtection {
		s.pushedCode()
	}
	switch f.Kind {
	case PageFault, ProtectionKey, StackOverflow:
		s.x86PageFault()
	case GeneralProtection:
		s.x86Protection()
	case InvalidOpcode:
		s.x86Undefined()
	case DivideError:
		s.x86Divide()
	case ControlProtection:
		s.x86Control()
	case ControlFlowIntegrity:
		s.kcfiX86() // a report without names or types gets them
	case FloatingPoint:
		switch f.TrapNumber {
		case Value(7):
			s.fpDisabled("an instruction that uses floating-point or SIMD registers", "CR0.TS or CR0.EM")
		case Value(16), Value(19):
			s.fpException(0)
		}
	case DoubleFault:
		s.stackExhausted()
		s.reason("double fault: a fault while the handler of another was being called")
	case Breakpoint:
		reason := "a breakpoint instruction (int3) was executed"
		if f.PC.Known {
			reason += " before " + s.place(f.PC.V)
		}
		s.reason(reason)
	case UnknownTrap:
		if f.TrapNumber.Known {
			s.fallback(fmt.Sprintf("trap %d", f.TrapNumber.V))
			return true
		}
		return s.x86Guess()
	}
	return true
}

// pushedCode takes the error code from where the trap frame holds it, for the
// exceptions that push one.
func (s *scene) pushedCode() {
	if pushed := s.f.Reg("orig_rax"); !s.f.ErrorCode.Known && pushed.Known {
		s.f.ErrorCode = pushed
	}
}

// x86Control decodes #CP (SDM vol. 3, 6.15, control protection exception).
func (s *scene) x86Control() {
	names := [...]string{"", "near-ret", "far-ret-iret", "endbranch", "rstorssp", "setssbsy"}
	ec := s.f.ErrorCode
	if k := ec.V & 0x7fff; ec.Known && k > 0 && k < uint64(len(names)) {
		s.f.Subkind = names[k]
		s.reason("control protection: " + names[k])
	}
}

// x86Protection explains #GP by its operand.
func (s *scene) x86Protection() {
	f := s.f
	if f.ErrorCode.Known && f.ErrorCode.V != 0 {
		f.detail("selector", fmt.Sprintf("%#x", f.ErrorCode.V&0xfff8))
		s.reason(fmt.Sprintf("general protection: segment or gate selector %#x", f.ErrorCode.V&0xfff8))
		return
	}
	s.fallback("general protection")
	op, ok := s.x86Operand(s.code(f.PC.V, 16))
	switch {
	case f.PC.Known && !canonical(f.PC.V):
		f.Subkind, f.Access = SubWildJump, Exec
		s.reason(fmt.Sprintf("jump to %#x, which is no address: a return address or function pointer was overwritten", f.PC.V))
	case ok && op.ret:
		if v := s.word(f.Reg("rsp").V); v.Known && !canonical(v.V) {
			f.Subkind = SubUnmappedReturn
			f.detail("return address", v.hex())
			f.infer("the return address on the stack is no code address: the stack was overwritten")
		}
	case ok && op.addr.Known && !canonical(op.addr.V):
		f.Subkind = SubNonCanonical
		f.InferredAddress = op.addr
		f.Access = op.access
		f.Inferred = slices.DeleteFunc(f.Inferred, func(n string) bool { return strings.HasPrefix(n, perhaps) })
		s.reason(fmt.Sprintf("general protection: use of %#x, which is no canonical address", op.addr.V))
		f.infer(fmt.Sprintf("non-canonical address %#x: from the instruction at pc (%s) and the registers", op.addr.V, op.text))
		s.kasanShadow(op.addr.V)
	case !ok:
		s.suspects()
	}
}

// kasanShadow recognises the shadow address that inline KASAN checks compute
// with x86 Linux's offset, and gives the pointer it was computed from.
func (s *scene) kasanShadow(a uint64) {
	const off = 0xdffffc0000000000
	if a >= off && a < off+1<<45 {
		s.f.infer(fmt.Sprintf("as a KASAN shadow address it stands for pointer %#x to %#x", (a-off)<<3, (a-off)<<3+7))
	}
}

// perhaps begins a note that is a guess only, and that a proof replaces.
const perhaps = "perhaps"

// suspects names registers that hold non-canonical values when the instruction
// is not known.
func (s *scene) suspects() {
	var names []string
	for _, r := range s.f.Registers {
		if r.Value.Known && !canonical(r.Value.V) && r.Name != "eflags" {
			names = append(names, r.Name)
		}
	}
	if len(names) > 0 && len(names) <= 3 {
		s.f.infer(perhaps + " a load or store through " + strings.Join(names, " or ") + ", which holds a non-canonical address")
	}
}

// canonical says that a 48-bit virtual address is well formed.
func canonical(a uint64) bool { return a+1<<47 < 1<<48 }

// x86Divide tells a division by zero from a quotient that does not fit.
func (s *scene) x86Divide() {
	s.fallback("divide error")
	v := s.x86Divisor(s.code(s.f.PC.V, 16))
	if !v.Known {
		return
	}
	if v.V == 0 {
		s.f.Subkind = SubDivideByZero
		s.reason("division by zero")
		s.f.infer("division by zero: the divisor of the instruction at pc is 0")
		return
	}
	s.f.Subkind = SubDivideOverflow
	s.reason("the quotient of a division does not fit")
	s.f.infer("the divisor of the instruction at pc is not 0, so the quotient did not fit")
}
