package asserts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// hermit collects what Hermit's handlers print (src/arch/x86_64/mm/paging.rs,
// src/arch/x86_64/kernel/interrupts.rs) behind "[TIME][CORE][ERROR TARGET] ":
//
//	Page fault (#PF)!
//	page_fault_linear_address = 0x…
//	error_code = PageFaultErrorCode(PROTECTION_VIOLATION | CAUSED_BY_WRITE)
//	stack_frame = ExceptionStackFrame {
//	    instruction_pointer: VirtAddr(0x…),
//	…
//	General Protection (#GP) Exception: ExceptionStackFrame { … }, error 0x0
//
// Rust's debug form of the frame goes over several lines.
type hermit struct {
	f     *Fault
	frame bool // inside the frame's braces
}

func beginHermit(s *segment, _ assembler) assembler {
	b := s.body
	f := newFault(UnknownTrap, "hermit", s)
	f.Arch = arch.X86_64
	h := &hermit{f: f}
	switch {
	case bytes.Contains(b, []byte("Page fault (#PF)!")), bytes.Contains(b, []byte("Page Fault (#PF) Exception")):
		f.Kind = PageFault
	case bytes.Contains(b, []byte("Probable Stack Overflow")):
		f.Kind = StackOverflow
	default:
		name, rest, ok := bytes.Cut(b, []byte(") Exception: "))
		i := bytes.LastIndex(name, []byte(" (#"))
		if !ok || i < 0 {
			return nil
		}
		short := string(name[i+2:])
		f.Kind = osvTrap(short)
		title := name[:i]
		if j := bytes.LastIndex(title, []byte("] ")); j >= 0 {
			title = title[j+2:]
		}
		f.Reason, f.derived = fmt.Sprintf("%s (%s)", bytes.TrimSpace(title), short), true
		h.take(rest)
	}
	if core, ok := hermitCore(b); ok {
		f.detail("core", core)
	}
	f.lacks("the general registers")
	return h
}

// hermitCore reads the second bracket of "[TIME][CORE][ERROR TARGET] ".
func hermitCore(b []byte) (string, bool) {
	first := bytes.IndexByte(b, ']')
	if first < 0 || first+1 >= len(b) || b[first+1] != '[' {
		return "", false
	}
	v, n := decimal(b[first+2:])
	if n == 0 || first+2+n >= len(b) || b[first+2+n] != ']' {
		return "", false
	}
	return fmt.Sprint(v), true
}

func (h *hermit) fault() *Fault { return h.f }

func (h *hermit) add(s *segment) verdict {
	b := s.body
	if i := bytes.LastIndex(b, []byte("] ")); i >= 0 && i < 2*maxName {
		b = b[i+2:]
	}
	if h.take(bytes.TrimSpace(b)) {
		return taken
	}
	return foreign
}

// take takes one line of the report.
func (h *hermit) take(b []byte) bool {
	f := h.f
	switch {
	case bytes.HasPrefix(b, []byte("page_fault_linear_address = ")):
		f.Address = hexAfter(b, "0x")
		return true
	case bytes.HasPrefix(b, []byte("error_code = ")):
		h.code(string(b))
		return true
	case bytes.HasPrefix(b, []byte("fs = ")), bytes.HasPrefix(b, []byte("gs = ")):
		return true
	case bytes.Contains(b, []byte("StackFrame {")):
		h.frame = true
		_, b, _ = bytes.Cut(b, []byte("{"))
		h.fields(b)
		return true
	case bytes.HasPrefix(b, []byte("}")) && h.frame:
		h.frame = false
		if w := hexAfter(b, "error 0x"); w.Known {
			f.ErrorCode = w
		}
		return true
	case h.frame:
		return h.fields(b)
	}
	return false
}

// fields takes "instruction_pointer: VirtAddr(0x…),", one or several.
func (h *hermit) fields(b []byte) bool {
	f, found := h.f, false
	for _, r := range [...]struct{ mark, name string }{
		{"instruction_pointer: ", "rip"}, {"stack_pointer: ", "rsp"}, {"cpu_flags: ", "eflags"},
		{"code_segment: ", "cs"}, {"stack_segment: ", "ss"},
	} {
		rest, ok := after(b, r.mark)
		if !ok {
			continue
		}
		found = true
		value, _, _ := bytes.Cut(rest, []byte(","))
		if w := hexAfter(value, "0x"); w.Known {
			f.setReg(Register{Name: r.name, Value: w})
		}
		if r.name == "rip" {
			f.PC = f.Reg("rip")
		}
	}
	return found
}

// code takes the flags Rust names in "PageFaultErrorCode(A | B)"; "0x0" and
// "empty" are none.
func (h *hermit) code(text string) {
	_, inner, ok := strings.Cut(text, "PageFaultErrorCode(")
	inner, _, closed := strings.Cut(inner, ")")
	if !ok || !closed {
		return
	}
	var ec uint64
	for _, name := range strings.Split(inner, " | ") {
		switch strings.TrimSpace(name) {
		case "PROTECTION_VIOLATION":
			ec |= pfPresent
		case "CAUSED_BY_WRITE":
			ec |= pfWrite
		case "USER_MODE":
			ec |= 1 << 2
		case "MALFORMED_TABLE":
			ec |= pfReserved
		case "INSTRUCTION_FETCH":
			ec |= pfFetch
		case "PROTECTION_KEY":
			ec |= pfKey
		case "0x0", "empty", "":
		default:
			return // a flag this does not know: the code is not known
		}
	}
	h.f.ErrorCode = Value(ec)
}

// rustPanic collects a Rust panic, Hermit's or a program's:
//
//	[0][PANIC] panicked at FILE:LINE:COLUMN:
//	MESSAGE
//	thread 'main' panicked at 'MESSAGE', FILE:LINE:COLUMN      (before 1.73)
type rustPanic struct {
	f    *Fault
	told bool
}

func beginRustPanic(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "panicked at ")
	if !ok {
		return nil
	}
	f := newFault(Panic, "rust-panic", s)
	if name, ok := after(s.body, "thread '"); ok {
		if t, _, ok := bytes.Cut(name, []byte("' ")); ok && len(t) < maxName {
			f.Thread = string(t)
		}
	}
	text := string(bytes.TrimSpace(rest[:min(len(rest), maxReason)]))
	p := &rustPanic{f: f}
	if msg, place, ok := strings.Cut(text, "', "); ok && strings.HasPrefix(msg, "'") {
		f.Location = sourcePlace(place)
		p.tell(msg[1:])
		return p
	}
	f.Location = sourcePlace(strings.TrimSuffix(text, ":"))
	if f.Location.Line == 0 {
		return nil
	}
	f.Reason, f.derived = "panic at "+f.Location.File, true
	return p
}

// tell takes the message. One that quotes an assertion is one.
func (p *rustPanic) tell(msg string) {
	p.told = true
	p.f.Reason, p.f.derived = "panic: "+msg, false
	if strings.HasPrefix(msg, "assertion ") {
		p.f.Kind = Assertion
		p.f.Reason = msg
	}
	switch {
	case strings.HasPrefix(msg, "attempt to divide by zero"):
		p.f.Subkind = SubDivideByZero
	case strings.HasPrefix(msg, "index out of bounds"):
		p.f.Subkind = SubOutOfBounds
	case strings.HasPrefix(msg, "attempt to ") && strings.HasSuffix(msg, "with overflow"):
		p.f.Subkind = "integer-overflow"
	}
}

func (p *rustPanic) fault() *Fault { return p.f }

func (p *rustPanic) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if len(b) == 0 {
		return foreign
	}
	switch {
	case !p.told:
		p.tell(string(b[:min(len(b), maxReason)]))
		return taken
	case bytes.HasPrefix(b, []byte("left: ")), bytes.HasPrefix(b, []byte("right: ")):
		p.f.detail(string(b[:bytes.IndexByte(b, ':')]), string(b[bytes.IndexByte(b, ' ')+1:min(len(b), 2*maxName)]))
		return taken
	case bytes.HasPrefix(b, []byte("note: run with")), bytes.HasPrefix(b, []byte("stack backtrace:")):
		return taken
	}
	return over
}
