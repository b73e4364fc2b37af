package asserts

import (
	"bytes"
	"strings"
)

// linuxUBSan collects "UBSAN: KIND in FILE:LINE:COLUMN", the message on the next
// line, and the stack (Linux's lib/ubsan.c).
type linuxUBSan struct {
	linux
	told bool
}

func beginLinuxUBSan(s *segment, _ assembler) assembler {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(s.body), []byte("UBSAN: "))
	if !ok {
		return nil
	}
	what, where, ok := bytes.Cut(rest, []byte(" in "))
	if !ok || len(what) > maxName {
		return nil
	}
	f := newFault(UndefinedBehavior, "linux-ubsan", s)
	f.Location, _ = splitLocation(append(append([]byte(nil), where...), ':'))
	if f.Location.Line == 0 {
		f.Location = fileLine(string(where))
	}
	f.Subkind = linuxUBSanSubkind(string(what))
	f.Reason = "undefined behavior: " + string(what)
	f.goesOn = true
	f.lacks("registers")
	return &linuxUBSan{linux: linux{f: f, last: "======"}}
}

// linuxUBSanSubkind gives the names other reports have too to Linux's.
func linuxUBSanSubkind(what string) string {
	switch what {
	case "array-index-out-of-bounds", "object-size-mismatch":
		return SubOutOfBounds
	case "shift-out-of-bounds":
		return "shift"
	case "division-overflow":
		return SubDivideByZero
	case "null-ptr-deref":
		return SubNullDereference
	case "misaligned-access":
		return "misaligned"
	case "invalid-load":
		return "invalid-value"
	case "signed-integer-overflow", "unsigned-integer-overflow", "negation-overflow":
		return strings.Replace(what, "negation", "negate", 1)
	case "Undefined behaviour", "type-mismatch":
		return ""
	}
	return what
}

func (u *linuxUBSan) add(s *segment) verdict {
	v := u.linux.add(s)
	if v != foreign || u.told {
		return v
	}
	b := bytes.TrimSpace(s.body)
	if len(b) == 0 || len(b) > maxReason {
		return v
	}
	u.told = true
	u.f.Reason += ": " + string(b)
	if sub := ubsanSubkind(string(b)); u.f.Subkind == "" {
		u.f.Subkind = sub
	}
	return taken
}
