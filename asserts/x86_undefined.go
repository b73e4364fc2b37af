package asserts

import (
	"encoding/binary"
	"fmt"
)

// explicitFlag is the variable UK_CRASH sets right before its ud2.
const explicitFlag = "_uk_crash_explicit"

// x86Undefined explains #UD by the bytes at pc: what a compiler or a kernel
// puts there says why.
func (s *scene) x86Undefined() {
	f := s.f
	s.fallback("invalid opcode")
	code := s.code(f.PC.V, 16)
	switch {
	case len(code) >= 2 && code[0] == 0x0f && code[1] == 0x0b:
		s.ud2()
	case len(code) >= 5 && code[0] == 0x67 && code[1] == 0x0f && code[2] == 0xb9 && code[3] == 0x40:
		s.sanitizerTrap(uint64(code[4]))
	case len(code) >= 4 && code[0] == 0x67 && code[1] == 0x0f && code[2] == 0xb9 && code[3] == 0x00:
		s.sanitizerTrap(0)
	case len(code) >= 1:
		f.Subkind = SubUndefinedOpcode
		s.reason(fmt.Sprintf("invalid opcode: the bytes at pc are % x", code[:min(len(code), 8)]))
	}
}

// ud2 tells apart kCFI, UK_CRASH and a plain trap by what stands before.
func (s *scene) ud2() {
	f := s.f
	if s.kcfiX86() || s.explicitX86() {
		return
	}
	if s.m.Explicit == Value(1) {
		s.explicit()
		return
	}
	f.Subkind = SubCompilerTrap
	s.reason("ud2: a trap the compiler or the program put there")
}

// sanitizerTrap is a trap of clang's -fsanitize-trap with its check's number.
func (s *scene) sanitizerTrap(kind uint64) {
	f := s.f
	name := ubsanTrap(kind)
	f.Kind, f.Subkind = UndefinedBehavior, name
	if kind == 2 {
		f.Kind, f.Subkind = ControlFlowIntegrity, "clang-cfi"
		s.reason("an indirect call or a cast failed clang's CFI check")
	} else {
		s.reason("undefined behavior: " + name + " (sanitizer trap)")
	}
	f.detail("trap kind", fmt.Sprint(kind))
}

// explicitX86 recognises "movb $1, _uk_crash_explicit; ud2".
func (s *scene) explicitX86() bool {
	pc := s.f.PC.V
	var flag uint64
	if b := s.code(pc-7, 7); len(b) == 7 && b[0] == 0xc6 && b[1] == 0x05 && b[6] == 1 {
		flag = pc + uint64(int64(int32(binary.LittleEndian.Uint32(b[2:]))))
	} else if b := s.code(pc-8, 8); len(b) == 8 && b[0] == 0xc6 && b[1] == 0x04 && b[2] == 0x25 && b[7] == 1 {
		flag = uint64(int64(int32(binary.LittleEndian.Uint32(b[3:]))))
	} else {
		return false
	}
	if s.m.Symbol != nil {
		if name, off, ok := s.m.Symbol(flag); !ok || off != 0 || name != explicitFlag {
			return false
		}
	} else {
		s.f.infer("explicit crash: ud2 right after a flag was set, as UK_CRASH does")
	}
	s.explicit()
	return true
}

// explicit makes the fault a UK_CRASH, keeping a reason the guest printed.
func (s *scene) explicit() {
	f := s.f
	if f.Kind != Assertion {
		f.Kind = ExplicitCrash
	}
	s.reason("UK_CRASH or a failed assertion; its text is on the console only")
}

// kcfiX86 recognises clang's kCFI check before a ud2:
//
//	41 ba imm32        movl  $-type, %r10d
//	44/45 03 modrm fc  addl  -4(%target), %r10d
//	74 02              je    past the trap
//	0f 0b              ud2
func (s *scene) kcfiX86() bool {
	b := s.code(s.f.PC.V-13, 13)
	if len(b) != 13 || b[11] != 0x74 || b[12] != 0x02 {
		return false
	}
	mov, add := b[1:7], b[7:11]
	if b[6] == 0x45 || b[6] == 0x44 { // r12 and rsp take one more byte
		mov, add = b[0:6], b[6:11]
	}
	if mov[0] != 0x41 || mov[1] != 0xba || add[0]&^1 != 0x44 || add[1] != 0x03 || add[len(add)-1] != 0xfc {
		return false
	}
	modrm := add[2]
	if modrm&0xf8 != 0x50 { // mod 01, reg r10
		return false
	}
	num := int(modrm & 7)
	if add[0]&1 != 0 {
		num += 8
	}
	names := [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	s.kcfi(names[num], Value(uint64(-binary.LittleEndian.Uint32(mov[2:]))))
	return true
}

// kcfi fills in a failed kCFI check whose target is in register reg.
func (s *scene) kcfi(reg string, expected Word) {
	f := s.f
	f.Kind, f.Subkind = ControlFlowIntegrity, SubKCFI
	if expected.Known {
		f.detail("expected type", expected.hex())
	}
	f.detail("target register", reg)
	target := f.Reg(reg)
	if !target.Known {
		s.reason(kcfiReason)
		return
	}
	f.redetail("target", s.place(target.V))
	reason := "an indirect call went to " + s.place(target.V) + ", a function of another type"
	if actual := s.half(target.V - 4); actual.Known {
		f.detail("actual type", actual.hex())
		if expected.Known {
			reason += fmt.Sprintf(" (%s, expected %s)", actual.hex(), expected.hex())
		}
	} else if f.Source.Format == MachineFormat {
		f.detail("actual type", "unreadable")
	}
	s.reason(reason)
}

// kcfiReason is the reason where the target is not known.
const kcfiReason = "an indirect call went to a function of another type"
