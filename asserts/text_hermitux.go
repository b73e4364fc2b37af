package asserts

import (
	"bytes"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// hermitux collects what HermiTux and its host tool print (tools/uhyve.c,
// arch/x86/kernel/isrs.c, arch/x86/mm/page.c):
//
//	GUEST PAGE FAULT @0x659108 (RIP @0x48e5d3)          the host, then addr2line's output
//	GUEST EXCEPTION 6 (RIP @0x48e5d3)
//	Page Fault Exception (14) on core 0 at cs:ip = 0x8:0x48e5d3, fs = 0x…, gs = 0, rflags 0x11202, task = 1,
//	    addr = 0x659108, error = 0x2 [ supervisor data write not present ]
//	rax 0x1df01, rbx 0x55f9c0, … rsp 0x123b250 rdi 0x4, …
type hermitux struct{ f *Fault }

func beginHermiTux(s *segment, open assembler) assembler {
	b := s.body
	if rest, ok := after(b, "GUEST PAGE FAULT @"); ok {
		f := newHermiTux(PageFault, s)
		if v, n := hexValue(rest); n > 0 {
			f.Address = Value(v)
		}
		f.host(rest)
		return &hermitux{f}
	}
	if rest, ok := after(b, "GUEST EXCEPTION "); ok {
		v, n := decimal(rest)
		if n == 0 || v > 255 {
			return nil
		}
		f := newHermiTux(x86TrapKind(v), s)
		f.TrapNumber = Value(v)
		f.Reason, f.derived = fmt.Sprintf("trap %d", v), true
		f.host(rest)
		return &hermitux{f}
	}
	rest, ok := after(b, " Exception (")
	if !ok || !bytes.Contains(rest, []byte(") on core ")) {
		return nil
	}
	v, n := decimal(rest)
	if n == 0 || v > 255 {
		return nil
	}
	pc := hermituxPC(rest)
	f := (*Fault)(nil)
	if h, ok := open.(*hermitux); ok && h.f.PC == pc && sameMoment(h.f, s) && len(h.f.Registers) <= 1 {
		f = h.f // the host told of it first
	} else {
		f = newHermiTux(x86TrapKind(v), s)
		name := b[:len(b)-len(rest)-len(" Exception (")]
		if i := bytes.LastIndexByte(name, ']'); i >= 0 {
			name = name[i+1:]
		}
		if f.Kind != PageFault {
			f.Reason, f.derived = fmt.Sprintf("trap %d (%s)", v, bytes.TrimSpace(name)), true
		}
	}
	f.TrapNumber = Value(v)
	f.PC = pc
	if pc.Known {
		f.setReg(Register{Name: "rip", Value: pc})
	}
	if w := hexAfter(rest, "rflags "); w.Known {
		f.setReg(Register{Name: "eflags", Value: w})
	}
	if v == trapPageFault {
		if w := hexAfter(rest, "addr = "); w.Known {
			f.Address = w
		}
	}
	if w := hexAfter(rest, "error = "); w.Known {
		f.ErrorCode = w
	}
	if task, ok := after(rest, "task = "); ok {
		if id, n := decimal(task); n > 0 {
			f.detail("task", fmt.Sprint(id))
		}
	}
	return &hermitux{f}
}

func newHermiTux(k Kind, s *segment) *Fault {
	f := newFault(k, "hermitux", s)
	f.Arch = arch.X86_64
	return f
}

// host takes "(RIP @0x…)".
func (f *Fault) host(rest []byte) {
	if w := hexAfter(rest, "RIP @"); w.Known {
		f.PC = w
		f.setReg(Register{Name: "rip", Value: w})
	}
	f.lacks("error code")
	f.lacks("the general registers")
}

// hermituxPC reads "cs:ip = 0x8:0x48e5d3".
func hermituxPC(b []byte) Word {
	rest, ok := after(b, "cs:ip = ")
	if !ok {
		return Word{}
	}
	_, n := hexValue(rest)
	if n == 0 || n >= len(rest) || rest[n] != ':' {
		return Word{}
	}
	if v, n := hexValue(rest[n+1:]); n > 0 {
		return Value(v)
	}
	return Word{}
}

func (h *hermitux) fault() *Fault { return h.f }

func (h *hermitux) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if rest, ok := after(b, "[ERROR] rax "); ok {
		h.registers(append([]byte("rax "), rest...))
		return last
	}
	if bytes.HasPrefix(b, []byte("rax 0")) {
		h.registers(b)
		return last
	}
	// addr2line -a: the address, then FILE:LINE, "?" where it has none.
	if w := hexWord(string(b)); w.Known && w == h.f.PC {
		return taken
	}
	if loc := fileLine(string(b)); loc.Line > 0 && bytes.IndexByte(b, ' ') < 0 && h.f.Location.File == "" && len(h.f.Registers) <= 1 {
		h.f.Location = loc
		return taken
	}
	if bytes.HasSuffix(b, []byte(":?")) && bytes.IndexByte(b, ' ') < 0 {
		return taken
	}
	return foreign
}

// registers takes "NAME 0x…" pairs; values have no leading zeros.
func (h *hermitux) registers(b []byte) {
	h.f.NotPrinted = nil
	fields := bytes.FieldsFunc(b, func(r rune) bool { return r == ' ' || r == ',' })
	for i := 0; i+1 < len(fields) && i < 2*maxRegisters; i += 2 {
		r, ok := lookupReg(x86Names, fields[i])
		v, n := hexValue(fields[i+1])
		if !ok || n != len(fields[i+1]) {
			return
		}
		h.f.setReg(Register{Name: r.name, Value: Value(v)})
	}
}
