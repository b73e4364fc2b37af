package asserts

import (
	"bytes"
	"strings"
)

// beginRuntimeError takes a line of the compilers' run-time library for
// -fsanitize=undefined: "FILE:LINE:COLUMN: runtime error: MESSAGE". The program
// goes on unless it was built not to.
func beginRuntimeError(s *segment, _ assembler) assembler {
	place, msg, ok := bytes.Cut(s.body, []byte(": runtime error: "))
	if !ok {
		return nil
	}
	f := newFault(UndefinedBehavior, "ubsan-runtime", s)
	f.Location = sourcePlace(string(bytes.TrimSpace(place[max(0, len(place)-4*maxName):])))
	f.describeUB(string(msg))
	f.goesOn = true
	f.lacks("registers")
	return &runtimeError{f}
}

// describeUB fills in what a message of undefined behavior tells.
func (f *Fault) describeUB(msg string) {
	f.Subkind = ubsanSubkind(msg)
	f.Reason = "undefined behavior: " + msg
	if strings.Contains(msg, "control flow integrity check") {
		f.Kind, f.Subkind = ControlFlowIntegrity, "clang-cfi"
		f.Reason = msg
	}
	if w := hexAfter([]byte(msg), "address 0x"); w.Known {
		f.Address = w
	}
	switch {
	case strings.HasPrefix(msg, "load "):
		f.Access = Read
	case strings.HasPrefix(msg, "store "):
		f.Access = Write
	}
}

// runtimeError takes the notes below the message: the bytes around the pointer.
type runtimeError struct{ f *Fault }

func (r *runtimeError) fault() *Fault { return r.f }

func (r *runtimeError) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	switch {
	case bytes.HasSuffix(b, []byte("note: pointer points here")), bytes.Contains(b, []byte(" note: ")):
		return taken
	case bytes.Equal(b, []byte("^")):
		return taken
	case bytes.HasPrefix(b, []byte("SUMMARY: UndefinedBehaviorSanitizer")):
		return last
	}
	if code, _ := hexBytes(b, 1); len(code) == 1 && len(b) > 32 {
		return taken
	}
	return over
}
