package asserts

import (
	"bytes"
	"strings"
)

// beginLibc takes what C libraries print before they end a program (musl's
// src/exit/assert.c, which OSv has too; glibc's assert/assert.c,
// debug/fortify_fail.c, malloc/malloc.c):
//
//	Assertion failed: EXPR (FILE: FUNCTION: LINE)                     musl
//	PROGRAM: FILE:LINE: FUNCTION: Assertion `EXPR' failed.            glibc
//	*** stack smashing detected ***: terminated
//	*** buffer overflow detected ***: terminated
//	free(): double free detected in tcache 2
func beginLibc(s *segment, _ assembler) assembler {
	b := bytes.TrimSpace(s.body)
	text := string(b[:min(len(b), maxReason)])
	f := newFault(ExplicitCrash, "libc", s)
	_, musl, isMusl := strings.Cut(text, "Assertion failed: ")
	i := strings.Index(text, ": Assertion `")
	j := strings.LastIndex(text, "' failed.")
	switch {
	case isMusl:
		f.muslAssert(musl)
	case i >= 0 && j > i:
		f.Kind = Assertion
		f.Reason = "assertion failed: " + text[i+len(": Assertion `"):j]
		f.glibcPlace(text[:i])
	case strings.Contains(text, "*** stack smashing detected ***"):
		f.Kind = StackSmash
		f.Reason = "a function's stack canary was overwritten before it returned"
		f.lacks("which function's canary")
	case strings.Contains(text, "*** buffer overflow detected ***"):
		f.Subkind = "fortify"
		f.Reason = "a checked C function was given more than its buffer holds"
	default:
		if !f.heapCorruption(text) {
			return nil
		}
	}
	f.lacks("registers")
	return &single{f}
}

// muslAssert takes "EXPR (FILE: FUNCTION: LINE)".
func (f *Fault) muslAssert(text string) {
	f.Kind = Assertion
	f.Reason = "assertion failed: " + text
	i := strings.LastIndex(text, " (")
	if i < 0 || !strings.HasSuffix(text, ")") {
		return
	}
	place := strings.Split(text[i+2:len(text)-1], ": ")
	n, w := decimal([]byte(place[len(place)-1]))
	if len(place) < 3 || w == 0 || w > 9 {
		return
	}
	f.Reason = "assertion failed: " + text[:i]
	f.Location = Location{File: place[0], Line: int(n)}
	f.detail("function", strings.Join(place[1:len(place)-1], ": "))
}

// glibcPlace takes "PROGRAM: FILE:LINE: FUNCTION".
func (f *Fault) glibcPlace(text string) {
	for _, part := range strings.Split(text, ": ") {
		if loc := fileLine(part); loc.Line > 0 {
			f.Location = loc
		} else if f.Location.Line > 0 {
			f.detail("function", part)
		}
	}
}

// heapCorruption takes the texts of glibc's malloc_printerr.
func (f *Fault) heapCorruption(text string) bool {
	for _, begins := range [...]string{"free(): ", "malloc(): ", "double free or corruption", "corrupted size vs. prev_size", "malloc_consolidate(): "} {
		if !strings.HasPrefix(text, begins) {
			continue
		}
		f.Subkind = "heap-corruption"
		if strings.Contains(text, "double free") {
			f.Subkind = SubDoubleFree
		}
		f.Reason = "the C library found its heap corrupt: " + text
		return true
	}
	return false
}
