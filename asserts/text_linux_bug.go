package asserts

import (
	"bytes"
	"strings"
)

// beginLinuxBug takes what Linux's own checks print (lib/bug.c, lib/refcount.c,
// kernel/panic.c):
//
//	kernel BUG at FILE:LINE!
//	WARNING: CPU: 1 PID: 1 at FILE:LINE FUNCTION+0x…/0x…
//	refcount_t: underflow; use-after-free.
//	traps: Missing ENDBR: FUNCTION+0x…/0x…
//	BUG: scheduling while atomic: …
func beginLinuxBug(s *segment, open assembler) assembler {
	b := bytes.TrimSpace(s.body)
	if rest, ok := bytes.CutPrefix(b, []byte("kernel BUG at ")); ok {
		f := newFault(Bug, "linux-bug", s)
		f.Location = fileLine(string(bytes.TrimSuffix(rest, []byte("!"))))
		f.Reason = "BUG() was reached at " + f.Location.File
		return &linux{f: f}
	}
	if rest, ok := after(b, "Missing ENDBR: "); ok {
		f := newFault(ControlProtection, "linux-bug", s)
		f.Subkind = "endbranch"
		f.Reason = "an indirect branch went to " + symbolText(rest) + ", which is no landing pad (ENDBR)"
		if name := kernelSymbol(rest); name != "" {
			f.detail("target", symbolText(rest))
		}
		return &linux{f: f}
	}
	if rest, ok := bytes.CutPrefix(b, []byte("refcount_t: ")); ok {
		f := newFault(Refcount, "linux-bug", s)
		f.Reason = string(bytes.TrimSuffix(rest, []byte(".")))
		if bytes.Contains(rest, []byte("use-after-free")) {
			f.Subkind = SubUseAfterFree
		} else if bytes.Contains(rest, []byte("leaking memory")) {
			f.Subkind = "memory-leak"
		}
		f.goesOn = true
		return &linux{f: f}
	}
	if rest, ok := bytes.CutPrefix(b, []byte("WARNING: ")); ok {
		return linuxWarning(s, rest, open)
	}
	for _, known := range [...]string{"scheduling while atomic", "sleeping function called", "Bad page", "spinlock ", "Bad rss-counter"} {
		if rest, ok := bytes.CutPrefix(b, []byte("BUG: ")); ok && bytes.HasPrefix(rest, []byte(known)) {
			f := newFault(Bug, "linux-bug", s)
			f.Reason = string(rest)
			f.goesOn = true
			return &linux{f: f}
		}
	}
	return nil
}

// linuxWarning takes "CPU: 1 PID: 1 at FILE:LINE FUNCTION+…" and, since 6.15,
// "FILE:LINE at FUNCTION+…, CPU#1: COMM/PID". A failed check of a refcount, of
// CFI or of an ENDBR is told by a warning.
func linuxWarning(s *segment, rest []byte, open assembler) assembler {
	place := rest
	if bytes.HasPrefix(rest, []byte("CPU: ")) {
		var ok bool
		if place, ok = after(rest, " at "); !ok {
			return nil
		}
	}
	loc, fn, _ := bytes.Cut(place, []byte(" "))
	where := fileLine(string(loc))
	if where.Line == 0 {
		return nil
	}
	if l, ok := open.(*linux); ok && sameMoment(l.f, s) && len(l.f.Backtrace) == 0 {
		switch l.f.Kind {
		case Refcount, ControlFlowIntegrity, ControlProtection:
			l.f.goesOn = true
			l.f.detail("warned at", string(loc))
			return l
		}
	}
	f := newFault(Warning, "linux-bug", s)
	f.Location = where
	f.Reason = "warning at " + where.File
	fn = bytes.TrimPrefix(fn, []byte("at "))
	if name := kernelSymbol(fn); name != "" {
		f.Reason += " in " + name
	}
	f.goesOn = true
	return &linux{f: f}
}

// fileLine splits "FILE:LINE".
func fileLine(s string) Location {
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return Location{File: s}
	}
	n, w := decimal([]byte(s[i+1:]))
	if w == 0 || w > 9 {
		return Location{File: s}
	}
	return Location{File: s[:i], Line: int(n)}
}
