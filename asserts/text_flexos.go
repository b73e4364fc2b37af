package asserts

import (
	"bytes"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// flexos collects the page-fault lines of Unikraft 0.5 and of the FlexOS fork
// (plat/common/x86/traps.c):
//
//	Page fault at linear address X, rip X, regs 0x…, sp X, our_sp 0x…, code X
//	PF_PK: protection key block access (WRITE|READ)
//	Target page 0x… (section .S) had key N
//	registers
//	PKU: X
//
// and a gate's "ERROR IN GATE got 0x…, expected 0x…" (two PKRU values).
type flexos struct{ trapX86 }

func beginFlexOS(s *segment, open assembler) assembler {
	b := s.body
	if rest, ok := after(b, "ERROR IN GATE got "); ok {
		return beginGate(s, rest)
	}
	if rest, ok := after(b, "Page fault at linear address "); ok {
		f := newFault(PageFault, "flexos", s)
		f.Arch = arch.X86_64
		if v, n := hexValue(rest); n > 0 {
			f.Address = Value(v)
		}
		f.PC = hexAfter(rest, "rip ")
		f.ErrorCode = hexAfter(rest, "code ")
		f.TrapNumber = Value(14)
		if regs := hexAfter(rest, "regs "); regs.Known {
			f.detail("trap frame", regs.hex())
		}
		return &flexos{trapX86: trapX86{f: f}}
	}
	if rest, ok := after(b, "GPF rip: "); ok {
		f := newFault(GeneralProtection, "flexos", s)
		f.Arch = arch.X86_64
		f.TrapNumber = Value(13)
		if v, n := hexValue(rest); n > 0 {
			f.PC = Value(v)
		}
		f.ErrorCode = hexAfter(rest, "error_code=")
		return &flexos{trapX86: trapX86{f: f}}
	}
	if bytes.Contains(b, []byte("PF_PK: protection key block access")) {
		f := trapLike(open)
		if f == nil || f.Kind != PageFault {
			f = newFault(ProtectionKey, "flexos", s)
		}
		f.Arch = arch.X86_64
		a := &flexos{trapX86: trapX86{f: f}}
		a.add(s)
		return a
	}
	return nil
}

func beginGate(s *segment, rest []byte) assembler {
	f := newFault(ProtectionKey, "flexos", s)
	f.Subkind = SubGate
	f.Arch = arch.X86_64
	f.Reason = "a gate was entered with the rights of another domain"
	if v, n := hexValue(rest); n > 0 {
		f.detail("pkru", fmt.Sprintf("%#x", v))
	}
	if w := hexAfter(rest, "expected "); w.Known {
		f.detail("expected pkru", w.hex())
	}
	f.placed(s)
	return &single{f}
}

func (x *flexos) add(s *segment) verdict {
	b, f := s.body, x.f
	switch {
	case bytes.Contains(b, []byte("PF_PK: protection key block access")):
		f.Kind = ProtectionKey
		if bytes.Contains(b, []byte("(WRITE)")) {
			f.Access = Write
		} else if bytes.Contains(b, []byte("(READ)")) {
			f.Access = Read
		}
		return taken
	case bytes.Contains(b, []byte("Target page ")):
		x.page(b)
		return taken
	case bytes.Contains(b, []byte("PKU: ")):
		// The FlexOS handler sets PKRU to 0 before it prints, so a printed zero
		// is the handler's value and not the fault's.
		if w := hexAfter(b, "PKU: "); w.Known && w.V != 0 {
			f.detail("pkru", w.hex())
		} else {
			f.lacks("the PKRU at the fault (the handler had cleared it)")
		}
		return taken
	}
	return x.trapX86.add(s)
}

// page takes "Target page 0x… (section .S) had key N".
func (x *flexos) page(b []byte) {
	rest, _ := after(b, "Target page ")
	if v, n := hexValue(rest); n > 0 {
		x.f.detail("page", fmt.Sprintf("%#x", v))
	}
	if sec, ok := after(rest, "(section "); ok {
		if i := bytes.IndexByte(sec, ')'); i > 0 && i < maxName {
			x.f.detail("section", string(sec[:i]))
		}
	}
	if key, ok := after(rest, "had key "); ok {
		if bytes.HasPrefix(key, []byte("-1")) {
			x.f.detail("key", "none: the page is not mapped")
		} else if v, n := decimal(key); n > 0 && v < 16 {
			x.f.detail("key", fmt.Sprint(v))
		}
	}
}
