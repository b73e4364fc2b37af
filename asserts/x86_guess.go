package asserts

// x86Guess decides by the bytes at pc, when the vector is not known. A guest
// that merely stands at an instruction has not faulted there, so all but the
// instructions that can do nothing but trap need Trapped, or a report that says
// the guest crashed here.
func (s *scene) x86Guess() bool {
	f := s.f
	code := s.code(f.PC.V, 16)
	if alwaysTraps(code) {
		f.Kind = InvalidOpcode
		f.infer("invalid opcode: the instruction at pc can do nothing but trap")
		s.x86Undefined()
		return true
	}
	if f.Source.Format == MachineFormat && !s.m.Trapped || len(f.Registers) == 0 {
		return false
	}
	op, ok := s.x86Operand(code)
	cr2 := Word{}
	if v, known := s.m.System["cr2"]; known {
		cr2 = Value(v)
	}
	switch div := s.x86Divisor(code); {
	case !canonical(f.PC.V):
		s.guess(GeneralProtection, "pc is no canonical address")
	case cr2.Known && cr2.V == f.PC.V:
		f.Address, f.Access = cr2, Exec
		s.guess(PageFault, "CR2 is pc")
	case cr2.Known && ok && op.addr.Known && cr2.V-op.addr.V < 64:
		f.Address = cr2
		s.guess(PageFault, "CR2 is the address the instruction at pc uses")
	case ok && op.addr.Known && !canonical(op.addr.V):
		s.guess(GeneralProtection, "the instruction at pc uses a non-canonical address")
	case ok && op.addr.Known && op.addr.V < nullLimit:
		s.guess(PageFault, "the instruction at pc uses an address in the first page")
	case div.Known && div.V == 0:
		s.guess(DivideError, "the divisor of the instruction at pc is 0")
	case f.Reg("orig_rax").V != 0 && cr2.Known && s.stackAccess(cr2.V, f.Reg("rsp")):
		f.Address = cr2
		s.guess(PageFault, "the trap pushed an error code, and CR2 is next to the stack pointer")
	case s.afterInt3():
		s.guess(Breakpoint, "the instruction before pc is int3")
	case !cr2.Known && s.guessUnmapped(op):
	default:
		return false
	}
	return s.x86()
}

// guessUnmapped decides without CR2, as in a dump without registers, by what a
// trap's frame holds and the page tables forbid.
func (s *scene) guessUnmapped(op operand) bool {
	f, pushed := s.f, s.f.Reg("orig_rax")
	if !s.m.Trapped || s.m.Page == nil || !pushed.Known || pushed.V > pfPresent|pfWrite|pfFetch|pfKey {
		return false
	}
	page := func(addr uint64) Page {
		p, err := s.m.Page(s.ctx, addr)
		if err != nil {
			return Page{} // mapped nowhere
		}
		return p
	}
	fetch, write := pushed.V&pfFetch != 0, pushed.V&pfWrite != 0
	switch {
	case fetch && !page(f.PC.V).Exec:
		f.InferredAddress, f.Access = f.PC, Exec
		s.guess(PageFault, "the trap pushed the error code of an instruction fetch, and pc is not executable")
	case fetch || !op.addr.Known:
		return false
	case !page(op.addr.V).Present && pushed.V&pfPresent == 0:
		s.guess(PageFault, "nothing is mapped at the address the instruction at pc uses, and the trap pushed the error code of that")
	case write && pushed.V&pfPresent != 0 && !page(op.addr.V).Write:
		s.guess(PageFault, "the page the instruction at pc uses is read-only, and the trap pushed the error code of a write to one")
	case pushed.V&pfKey != 0 && page(op.addr.V).Present:
		s.guess(ProtectionKey, "the trap pushed the error code of a protection key")
	default:
		return false
	}
	return true
}

// guess sets the kind and says from what.
func (s *scene) guess(k Kind, why string) {
	s.f.Kind = k
	s.f.infer(string(k) + ": " + why)
}

// alwaysTraps says that code begins with ud2, ud1 or its form with a 67 prefix.
func alwaysTraps(code []byte) bool {
	if len(code) > 0 && code[0] == 0x67 {
		code = code[1:]
	}
	return len(code) >= 2 && code[0] == 0x0f && (code[1] == 0x0b || code[1] == 0xb9)
}

func (s *scene) afterInt3() bool {
	b := s.code(s.f.PC.V-1, 1)
	return len(b) == 1 && b[0] == 0xcc
}
