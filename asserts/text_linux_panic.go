package asserts

import "bytes"

// beginLinuxPanic takes "Kernel panic - not syncing: WHY" (kernel/panic.c). The
// report ends with "---[ end Kernel panic".
func beginLinuxPanic(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "Kernel panic - not syncing: ")
	if !ok || bytes.Contains(s.body, []byte("---[ end Kernel panic")) {
		return nil
	}
	f := newFault(Panic, "linux-panic", s)
	f.Reason = string(bytes.TrimSpace(rest))
	if where, ok := after(rest, "stack-protector: Kernel stack is corrupted in: "); ok {
		f.Kind = StackSmash
		f.Reason = "a function's stack canary was overwritten before it returned: " + symbolText(where)
		if name := kernelSymbol(where); name != "" {
			f.frame(CodeAddr{Kind: AtPC, Function: name})
		}
	}
	return &linux{f: f, last: "---[ end Kernel panic"}
}
