package asserts

import (
	"bytes"
	"fmt"
	"strings"
)

// asan collects a report of the compilers' run-time library (compiler-rt, gcc's
// libsanitizer), for guests that run as processes and for programs on guests
// with a C library:
//
//	==PID==ERROR: AddressSanitizer: KIND on address 0x… at pc 0x… bp 0x… sp 0x…
//	READ of size 1 at 0x… thread T0
//	    #0 0x… in FUNCTION FILE:LINE
//	0x… is located 0 bytes to the right of 10-byte region [0x…,0x…)
//	allocated by thread T0 here:
//	SUMMARY: AddressSanitizer: KIND FILE:LINE in FUNCTION
//	Shadow bytes around the buggy address:
//	=>0x0c047fff8000: fa fa 00[02]fa …
//	==PID==ABORTING
type asan struct {
	f     *Fault
	stack string // whose stack the frames are of: "" the fault's
}

func beginASan(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "ERROR: AddressSanitizer: ")
	if !ok {
		return nil
	}
	f := newFault(AddressSanitizer, "asan", s)
	what := string(rest)
	for _, end := range [...]string{" on unknown address", " on address", " on 0x", ":", " ("} {
		what, _, _ = strings.Cut(what, end)
	}
	what = strings.TrimPrefix(what, "attempting ")
	if len(what) > maxName {
		what = what[:maxName]
	}
	switch {
	case strings.HasPrefix(what, "free on address which was not malloc"):
		what = "bad-free"
	case what == "SEGV" || what == "BUS":
		f.Kind = PageFault
	case what == "stack-overflow":
		f.Kind = StackOverflow
	case what == "FPE":
		f.Kind = DivideError
	case what == "ILL":
		f.Kind = InvalidOpcode
	}
	if f.Kind == AddressSanitizer {
		f.Subkind = sanitizerSubkind(what)
		f.Reason = "AddressSanitizer: " + what
	}
	if f.Address = hexAfter(rest, " address "); !f.Address.Known {
		f.Address = hexAfter(rest, " on 0x")
	}
	if thread, ok := after(rest, " in thread "); ok && len(thread) <= maxName {
		f.Thread = string(bytes.TrimSuffix(thread, []byte(":")))
	}
	// The report does not name its registers' architecture, so bp and sp stay
	// details.
	f.PC = hexAfter(rest, "pc ")
	for _, r := range [...]string{"bp", "sp"} {
		if w := hexAfter(rest, " "+r+" "); w.Known {
			f.detail(r, w.hex())
		}
	}
	return &asan{f: f}
}

func (a *asan) fault() *Fault { return a.f }

func (a *asan) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	f := a.f
	switch {
	case len(b) == 0:
		return foreign
	case bytes.HasPrefix(b, []byte("==")) && bytes.HasSuffix(b, []byte("==ABORTING")):
		return last
	case b[0] == '#':
		return a.frame(b)
	case bytes.HasPrefix(b, []byte("READ of size ")), bytes.HasPrefix(b, []byte("WRITE of size ")):
		a.access(b)
	case bytes.Contains(b, []byte(" is located ")) && bytes.HasPrefix(b, []byte("0x")):
		_, where, _ := bytes.Cut(b, []byte(" is "))
		f.detail("position", symbolText(where))
	case bytes.HasSuffix(b, []byte("allocated by thread T0 here:")), bytes.Contains(b, []byte("allocated by thread ")):
		a.stack = "allocated"
	case bytes.HasPrefix(b, []byte("freed by thread ")):
		a.stack = "freed"
	case bytes.HasPrefix(b, []byte("Address 0x")):
		f.detail("position", symbolText(b))
		a.stack = "other"
	case bytes.HasPrefix(b, []byte("The signal is caused by a ")):
		a.signal(b)
	case bytes.Contains(b, []byte("==The signal is caused by a ")):
		a.signal(b)
	case bytes.HasPrefix(b, []byte("SUMMARY: AddressSanitizer")):
		a.stack = "other"
	case bytes.HasPrefix(b, []byte("=>0x")):
		a.shadow(b)
	case bytes.HasPrefix(b, []byte("0x")), bytes.HasPrefix(b, []byte("Shadow byte")), a.legend(b), bytes.HasPrefix(b, []byte("HINT: ")),
		bytes.HasPrefix(b, []byte("This frame has ")), bytes.HasPrefix(b, []byte("[")), bytes.Contains(b, []byte("==Hint: ")):
	default:
		return foreign
	}
	return taken
}

func (a *asan) access(b []byte) {
	f := a.f
	f.Access = Read
	if b[0] == 'W' {
		f.Access = Write
	}
	if rest, ok := after(b, " of size "); ok {
		if v, n := decimal(rest); n > 0 {
			f.detail("size", fmt.Sprint(v))
		}
	}
	if rest, ok := after(b, " thread "); ok && len(rest) <= maxName {
		f.Thread = string(rest)
	}
}

// signal takes "The signal is caused by a READ memory access."
func (a *asan) signal(b []byte) {
	switch {
	case bytes.Contains(b, []byte(" a READ ")):
		a.f.Access = Read
	case bytes.Contains(b, []byte(" a WRITE ")):
		a.f.Access = Write
	}
}

// frame takes "#0 0x562e19d67244 in main /src/a.c:3" and "… (/src/a.out+0x10c0)".
// #0 is where the fault is, unless the library's own function is.
func (a *asan) frame(b []byte) verdict {
	num, n := decimal(b[1:])
	rest, ok := after(b, " 0x")
	if n == 0 || !ok {
		return foreign
	}
	addr, used := hexValue(rest)
	if used == 0 {
		return foreign
	}
	c := CodeAddr{Addr: addr, Kind: BeforeReturn}
	if num == 0 {
		c.Kind = AtPC
	}
	if what, ok := after(rest, " in "); ok {
		name, place, _ := cutLast(string(what[:min(len(what), 4*maxName)]))
		c.Function = name
		if place != "" && place[0] != '(' {
			c.Place = sourcePlace(place)
		}
	}
	f := a.f
	if a.stack != "" {
		if a.stack != "other" && !sanitizerLibrary(c.Function) {
			f.detail(a.stack, placeText(c))
		}
		return taken
	}
	if num == 0 && len(f.Backtrace) > 0 {
		a.stack = "other" // the stack of something else
		return taken
	}
	f.frame(c)
	if f.Location.File == "" && c.Place.Line > 0 && !sanitizerLibrary(c.Function) {
		f.Location = c.Place
	}
	return taken
}

// placeText is a frame in one word or two.
func placeText(c CodeAddr) string {
	text := c.Function
	if text == "" {
		text = fmt.Sprintf("%#x", c.Addr)
	}
	if c.Place.File != "" {
		text += fmt.Sprintf(" (%s:%d)", c.Place.File, c.Place.Line)
	}
	return text
}

// sanitizerLibrary says that a function is of the run-time library.
func sanitizerLibrary(name string) bool {
	for _, p := range [...]string{"__interceptor_", "__asan", "__sanitizer", "operator new", "operator delete", "malloc", "free", "calloc", "realloc"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// cutLast splits "FUNCTION PLACE" at the last blank outside of parentheses: a
// C++ function has blanks in its parameters.
func cutLast(s string) (name, place string, ok bool) {
	depth := 0
	for i := len(s) - 1; i > 0; i-- {
		switch s[i] {
		case ')':
			depth++
		case '(':
			depth--
		case ' ':
			if depth <= 0 {
				return strings.TrimSpace(s[:i]), s[i+1:], true
			}
		}
	}
	return s, "", false
}

// sourcePlace splits "FILE:LINE" or "FILE:LINE:COLUMN".
func sourcePlace(s string) Location {
	loc := fileLine(s)
	if outer := fileLine(loc.File); outer.Line > 0 {
		return Location{File: outer.File, Line: outer.Line, Column: loc.Line}
	}
	return loc
}

// shadow takes the row with the bad byte in brackets.
func (a *asan) shadow(b []byte) {
	rest, ok := after(b, "[")
	if !ok {
		return
	}
	if code, _ := hexBytes(append(bytes.TrimSpace(rest[:min(2, len(rest))]), ' '), 1); len(code) == 1 {
		a.f.detail("shadow byte", fmt.Sprintf("%#02x", code[0]))
	}
}

// legend recognises the lines that explain the shadow bytes.
func (a *asan) legend(b []byte) bool {
	for _, l := range [...]string{"Addressable:", "Partially addressable:", "Heap left redzone:", "Heap right redzone:", "Freed heap region:",
		"Stack ", "Global ", "Poisoned by user:", "Container overflow:", "Array cookie:", "Intra object redzone:", "ASan internal:",
		"Left alloca redzone:", "Right alloca redzone:", "Shadow gap:"} {
		if bytes.HasPrefix(b, []byte(l)) {
			return true
		}
	}
	return false
}
