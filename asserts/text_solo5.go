package asserts

import (
	"bytes"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// solo5 collects what Solo5's bindings print (cpu_x86_64.c, cpu_aarch64.c,
// abort.c), on which MirageOS runs:
//
//	Solo5: trap: type=#PF ec=0x0 rip=0x… rsp=0x… rflags=0x…
//	Solo5: trap: cr2=0x0
//	Solo5: ABORT: cpu_x86_64.c:181: Fatal trap
//
//	Solo5: Trap: EL1 Synchronous Abort caught
//	Data Abort Address: 0x…
//	Solo5: Dump registers:
//	         ESR    : 0x…
//
//	Solo5: ABORT: FILE:LINE: Assertion `EXPR' failed
//	Solo5: ABORT: Stack corruption detected
//
// With --solo5:quiet only the line with ABORT is printed.
type solo5 struct{ f *Fault }

func beginSolo5(s *segment, _ assembler) assembler {
	b := s.body
	if rest, ok := after(b, "Solo5: trap: type="); ok {
		return solo5Trap(s, rest)
	}
	if rest, ok := after(b, "Solo5: Trap: EL"); ok {
		f := newFault(UnknownTrap, "solo5", s)
		f.Arch = arch.ARM64
		f.Reason, f.derived = "EL"+string(bytes.TrimSpace(rest[:min(len(rest), maxName)])), true
		return &solo5{f}
	}
	if rest, ok := after(b, "Solo5: ABORT: "); ok {
		return solo5Abort(s, string(bytes.TrimSpace(rest)))
	}
	return nil
}

func solo5Trap(s *segment, rest []byte) assembler {
	f := newFault(UnknownTrap, "solo5", s)
	f.Arch = arch.X86_64
	name, _, _ := strings.Cut(string(rest[:min(len(rest), 16)]), " ")
	f.Kind = osvTrap(name)
	if name == "#PF" {
		f.Kind = PageFault
	}
	f.Reason, f.derived = "trap "+name, true
	if f.Kind == PageFault {
		f.Reason, f.derived = "", false
	}
	f.ErrorCode = hexAfter(rest, "ec=")
	for _, r := range [...]struct{ mark, name string }{{"rip=", "rip"}, {"rsp=", "rsp"}, {"rflags=", "eflags"}} {
		if w := hexAfter(rest, r.mark); w.Known {
			f.setReg(Register{Name: r.name, Value: w})
		}
	}
	f.PC = f.Reg("rip")
	f.lacks("the general registers")
	return &solo5{f}
}

// solo5Abort takes what stands behind ABORT without a trap before it.
func solo5Abort(s *segment, text string) assembler {
	f := newFault(Panic, "solo5", s)
	f.Reason = text
	place, what, ok := strings.Cut(text, ": ")
	if loc := fileLine(place); ok && loc.Line > 0 {
		f.Location = loc
		f.Reason = what
	}
	switch {
	case strings.Contains(text, "Stack corruption detected"):
		f.Kind = StackSmash
		f.Reason = "a function's stack canary was overwritten before it returned"
	case strings.HasPrefix(f.Reason, "Assertion `"):
		f.Kind = Assertion
		expr := strings.TrimPrefix(f.Reason, "Assertion `")
		if i := strings.LastIndex(expr, "' failed"); i >= 0 {
			expr = expr[:i]
		}
		f.Reason = "assertion failed: " + expr
	case strings.HasPrefix(f.Reason, "Fatal trap"):
		f.Kind, f.derived = UnknownTrap, true
		f.Reason = "a fatal trap; its lines were not printed (--solo5:quiet hides them)"
		f.lacks("which trap")
		f.lacks("registers")
	}
	return &single{f}
}

func (t *solo5) fault() *Fault { return t.f }

func (t *solo5) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	f := t.f
	if rest, ok := after(b, "Solo5: trap: cr2="); ok {
		if v, n := hexValue(rest); n > 0 {
			f.Address = Value(v)
		}
		return taken
	}
	if w := hexAfter(b, "Data Abort Address: "); w.Known {
		f.setReg(Register{Name: "FAR_EL1", Value: w})
		return taken
	}
	if bytes.Contains(b, []byte("Solo5: ABORT: ")) {
		return last // "Fatal trap", or PANIC in older releases
	}
	if bytes.Contains(b, []byte("Solo5: Dump registers")) {
		return taken
	}
	if f.Arch != arch.ARM64 {
		return foreign
	}
	name, value, ok := bytes.Cut(b, []byte(":"))
	if !ok {
		return foreign
	}
	name, value = bytes.TrimSpace(name), bytes.TrimLeft(value, " ")
	if bytes.HasPrefix(name, []byte("x")) && bytes.Contains(name, []byte(" ~ ")) {
		if v := (&trapARM64{f}).row(name, value); v == foreign {
			return foreign
		}
		return taken
	}
	reg := map[string]string{"ESR": "ESR_EL1", "PC": "pc", "LR": "x30", "PSTATE": "cpsr"}[string(name)]
	digits, n := hexDigits(value)
	if reg == "" || n == 0 {
		return foreign
	}
	arm64Register(f, reg, digits)
	return taken
}
