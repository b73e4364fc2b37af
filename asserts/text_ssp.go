package asserts

// beginSSP takes "Stack smashing detected. SP 0x…" of lib/uksp/ssp.c. The
// address is the stack pointer masked to the stack's base.
func beginSSP(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "Stack smashing detected")
	if !ok {
		return nil
	}
	f := newFault(StackSmash, "unikraft-ssp", s)
	f.Reason = "a function's stack canary was overwritten before it returned"
	if sp := hexAfter(rest, "SP "); sp.Known {
		f.detail("stack base", sp.hex())
	}
	if s.caller != 0 {
		f.frame(CodeAddr{Addr: s.caller, Kind: ReturnAddr, How: "return address of the print call"})
	}
	f.lacks("registers")
	f.lacks("which function's canary")
	return &single{f}
}
