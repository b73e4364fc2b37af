package asserts

import "bytes"

// beginAssert takes "Assertion failure: EXPR" (UK_ASSERT, UK_BUG) and
// "Condition warning: EXPR" (UK_WARNIF), lib/ukdebug/include/uk/assert.h. The
// expression is C text with its macros expanded.
func beginAssert(s *segment, _ assembler) assembler {
	if expr, ok := after(s.body, "Assertion failure: "); ok {
		f := newFault(Assertion, "unikraft-assert", s)
		f.Reason = "assertion failed: " + string(expr)
		if string(expr) == "!(1)" {
			f.Reason = "assertion failed: UK_BUG() was reached"
			f.Subkind = "bug"
		}
		f.cutAt(s)
		f.placed(s)
		return &single{f}
	}
	if expr, ok := after(s.body, "Condition warning: "); ok {
		f := newFault(Warning, "unikraft-assert", s)
		f.Reason = "condition warning: " + string(expr)
		f.cutAt(s)
		f.placed(s)
		return &single{f}
	}
	return nil
}

// printBuffer is the size of Unikraft's print buffer: a body of this many bytes
// less the NUL and perhaps a newline may have been cut (lib/ukdebug/print.c).
const printBuffer = 192

// cutAt notes that the print buffer cut the message.
func (f *Fault) cutAt(s *segment) {
	switch {
	case s.stale:
		f.lacks("the rest of the message (cut by the guest's print buffer)")
	case len(bytes.TrimRight(s.body, " ")) >= printBuffer-2:
		f.lacks("the rest of the message, if any (it fills the guest's print buffer)")
	}
}
