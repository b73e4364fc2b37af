package asserts

import (
	"bytes"
	"strings"
)

// ocaml collects an uncaught exception of an OCaml program, as MirageOS
// unikernels end by (runtime/printexc.c):
//
//	Fatal error: exception Failure("…")
//	Raised at MODULE.FUNCTION in file "FILE", line N, characters A-B
//	Called from …
type ocaml struct{ f *Fault }

func beginOCaml(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "Fatal error: exception ")
	if !ok {
		return nil
	}
	f := newFault(Panic, "ocaml", s)
	text := string(bytes.TrimSpace(rest[:min(len(rest), maxReason)]))
	f.Reason = "uncaught exception " + text
	name, _, _ := strings.Cut(text, "(")
	switch name {
	case "Stack_overflow", "Stdlib.Stack_overflow":
		f.Kind = StackOverflow
	case "Assert_failure", "Stdlib.Assert_failure":
		f.Kind = Assertion
	}
	return &ocaml{f}
}

func (o *ocaml) fault() *Fault { return o.f }

func (o *ocaml) add(s *segment) verdict {
	text := strings.TrimSpace(string(s.body[:min(len(s.body), maxReason)]))
	first := false
	rest, ok := strings.CutPrefix(text, "Called from ")
	for _, p := range [...]string{"Raised at ", "Raised by primitive operation at ", "Re-raised at "} {
		if !ok {
			rest, ok = strings.CutPrefix(text, p)
			first = ok
		}
	}
	if !ok {
		return over
	}
	c := CodeAddr{Kind: ReturnAddr}
	if first && len(o.f.Backtrace) == 0 {
		c.Kind = AtPC
	}
	c.Function, rest, _ = strings.Cut(rest, " in file ")
	if strings.HasPrefix(c.Function, "file ") { // without a function's name
		rest, c.Function = strings.TrimPrefix(c.Function, "file "), ""
	}
	if file, at, ok := strings.Cut(rest, `", line `); ok {
		n, w := decimal([]byte(at))
		if w > 0 && w < 9 {
			c.Place = Location{File: strings.TrimPrefix(file, `"`), Line: int(n)}
		}
	} else if file, at, ok := strings.Cut(rest, `" (inlined), line `); ok {
		if n, w := decimal([]byte(at)); w > 0 && w < 9 {
			c.Place = Location{File: strings.TrimPrefix(file, `"`), Line: int(n)}
		}
	}
	if c.Printed() {
		return over // neither a name nor a place
	}
	o.f.frame(c)
	if o.f.Location.File == "" && c.Place.Line > 0 {
		o.f.Location = c.Place
	}
	return taken
}
