package asserts

import (
	"bytes"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// minios collects the reports of Mini-OS (arch/x86/traps.c), which Rumprun on Xen
// has too. They are like those of Unikraft's first releases, without an envelope:
//
//	FATAL:  Unhandled Trap 6 (invalid operand), error code=0x0
//	Regs address 0x…
//	Page fault at linear address 0x…, rip 0x…, regs 0x…, sp 0x…, our_sp 0x…, code 2
//	GPF rip: 0x…, error_code=0
//	Thread: NAME
//	RIP: e030:[<000000000000a1b2>]
//	RSP: e02b:0000…  EFLAGS: 00000282
//	base is 0x… caller is 0x…
//	Pagetable walk from virt X, base X:
type minios struct{ trapX86 }

func beginMiniOS(s *segment, _ assembler) assembler {
	if s.enveloped() {
		return nil
	}
	b := bytes.TrimSpace(s.body)
	if rest, ok := bytes.CutPrefix(b, []byte("FATAL:  Unhandled Trap ")); ok {
		n, w := decimal(rest)
		if w == 0 || n > 255 {
			return nil
		}
		f := newFault(x86TrapKind(n), "mini-os", s)
		f.Arch = arch.X86_64
		f.TrapNumber = Value(n)
		f.ErrorCode = hexAfter(rest, "error code=")
		f.Reason, f.derived = fmt.Sprintf("trap %d", n), true
		if i, j := bytes.IndexByte(rest, '('), bytes.IndexByte(rest, ')'); i >= 0 && j > i {
			f.Reason += " (" + string(rest[i+1:j]) + ")"
		}
		return &minios{trapX86{f: f}}
	}
	if a, ok := beginFlexOS(s, nil).(*flexos); ok && !bytes.Contains(b, []byte("PF_PK")) {
		a.f.Source.Format = "mini-os"
		return &minios{a.trapX86}
	}
	return nil
}

func (m *minios) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	f := m.f
	switch {
	case bytes.HasPrefix(b, []byte("Thread: ")):
		if name := string(b[len("Thread: "):]); name != "<null>" && len(name) < maxName {
			f.Thread = name
		}
		return taken
	case bytes.HasPrefix(b, []byte("Pagetable walk from virt ")), bytes.HasPrefix(b, []byte("L4 = ")), bytes.HasPrefix(b, []byte("L3 = ")),
		bytes.HasPrefix(b, []byte("L2 = ")):
		return taken
	case bytes.HasPrefix(b, []byte("L1 = ")):
		return last
	}
	rest, ok := bytes.CutPrefix(b, []byte("RIP: "))
	digits, n := hexDigits(rest)
	if ok && n > 0 && n <= 4 && bytes.HasPrefix(rest[n:], []byte(":[<")) {
		f.setReg(cutValue(regName{name: "cs", digits: 4}, digits))
		if pc, n := hexDigits(rest[n+3:]); n > 0 {
			f.setReg(cutValue(regName{name: "rip", digits: 16}, pc))
			if w := f.Reg("rip"); w.Known {
				f.PC = w
			}
		}
		m.dumped = true
		return taken
	}
	for _, mark := range [...]string{"PF_PK: ", "Target page ", "PKU: ", "RIP: "} {
		if bytes.HasPrefix(b, []byte(mark)) {
			// Unikraft's first releases begin like Mini-OS, which they come from.
			f.Source.Format = "flexos"
			return (&flexos{m.trapX86}).add(s)
		}
	}
	return m.trapX86.add(s)
}
