package asserts

import (
	"bytes"
	"strings"
)

// beginCFI takes the line of Linux's kernel/cfi.c, which other kernels copy:
//
//	CFI failure at WHERE (target: WHAT; expected type: 0x…)
//	CFI failure at WHERE (no target information)
//	CFI failure (target: WHAT):
//
// WHERE and WHAT are symbol+offset or addresses. Linux's oops or warning may
// follow.
func beginCFI(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "CFI failure ")
	if !ok || !(bytes.HasPrefix(rest, []byte("at ")) || bytes.HasPrefix(rest, []byte("("))) {
		return nil
	}
	f := newFault(ControlFlowIntegrity, "linux-cfi", s)
	f.Subkind = SubKCFI
	text := string(rest)
	f.Reason, f.derived = kcfiReason, true
	if where, ok := strings.CutPrefix(text, "at "); ok {
		where, _, _ = strings.Cut(where, " (")
		f.detail("at", where)
		if w := hexWord(where); w.Known {
			f.PC = w
		}
		if name := kernelSymbol([]byte(where)); name != "" {
			f.frame(CodeAddr{Kind: AtPC, Function: name, Offset: symbolOffset([]byte(where))})
		}
	}
	if _, t, ok := strings.Cut(text, "target: "); ok {
		t = t[:cutEnd(t)]
		f.detail("target", t)
		f.Reason = "an indirect call went to " + t + ", a function of another type"
		f.derived = kernelSymbol([]byte(t)) == "" // an image may name an address
	}
	if w := hexAfter(rest, "expected type: "); w.Known {
		f.detail("expected type", w.hex())
	}
	if w := hexAfter(rest, "actual type: "); w.Known {
		f.detail("actual type", w.hex())
	}
	if s.caller != 0 {
		f.frame(CodeAddr{Addr: s.caller, Kind: ReturnAddr, How: "return address of the print call"})
	}
	return &linux{f: f}
}

// hexWord parses a text that is an address and nothing else.
func hexWord(s string) Word {
	if !strings.HasPrefix(s, "0x") {
		return Word{}
	}
	if v, n := hexValue([]byte(s)); n == len(s) {
		return Value(v)
	}
	return Word{}
}

// cutEnd returns where a target's text ends: at ';', or at the ')' that closes
// the parenthesis.
func cutEnd(s string) int {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		return i
	}
	if i := strings.LastIndexByte(s, ')'); i >= 0 {
		return i
	}
	return len(s)
}
