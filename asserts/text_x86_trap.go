package asserts

import (
	"bytes"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// trapX86 collects a register dump of plat/common/x86/trace.c (Unikraft up to
// 0.19): an optional "Unhandled Trap N (NAME), error code=0x…", then RIP, RSP
// and the other registers, "base is … caller is …" lines, memory around rsp, rbp
// and rip, and "Crashing". A page fault has no header at all.
type trapX86 struct {
	f      *Fault
	dumped bool
	base   uint64 // of the last frame
	broken bool   // the frame chain
}

func beginTrapX86(s *segment, open assembler) assembler {
	if rest, ok := after(s.body, "Unhandled Trap "); ok {
		return beginTrapHeader(s, rest, open)
	}
	rip, ok := after(s.body, "RIP: ")
	if !ok {
		return nil
	}
	digits, n := hexDigits(rip)
	if n == 0 || len(digits) < 5 || !bytes.HasPrefix(rip[n:], []byte(" CS: ")) {
		return nil
	}
	f := dumpOf(s, open, digits)
	f.Arch = arch.X86_64
	t := &trapX86{f: f}
	t.add(s)
	return t
}

// beginTrapHeader takes "Unhandled Trap N (NAME), error code=0x…".
func beginTrapHeader(s *segment, rest []byte, open assembler) assembler {
	n, w := decimal(rest)
	if w == 0 || w > 3 {
		return nil
	}
	f := trapLike(open)
	if f == nil || f.Kind != ControlFlowIntegrity && f.Kind != x86TrapKind(n) || !sameMoment(f, s) {
		f = newFault(x86TrapKind(n), "unikraft-trap-x86", s)
		f.Reason, f.derived = fmt.Sprintf("trap %d", n), true
		if i, j := bytes.IndexByte(rest, '('), bytes.IndexByte(rest, ')'); i >= 0 && j > i {
			f.Reason += " (" + string(rest[i+1:j]) + ")"
		}
	}
	f.Arch = arch.X86_64
	f.TrapNumber = Value(n)
	f.ErrorCode = hexAfter(rest, "error code=")
	return &trapX86{f: f}
}

// dumpOf returns the fault a dump that begins with this RIP belongs to: the one
// told right before, the one with the same pc, or a new page fault.
func dumpOf(s *segment, open assembler, rip []byte) *Fault {
	if f := trapLike(open); f != nil && f.Kind != Assertion && f.Kind != ExplicitCrash && sameMoment(f, s) {
		return f
	}
	if open != nil {
		f := open.fault()
		if v, _ := hexValue(rip); f.Arch == arch.X86_64 && f.PC == Value(v) && sameMoment(f, s) {
			return f
		}
	}
	f := newFault(PageFault, "unikraft-trap-x86", s)
	f.infer("page fault: in this format a register dump without a header is one")
	return f
}

func (t *trapX86) fault() *Fault { return t.f }

func (t *trapX86) add(s *segment) verdict {
	b := bytes.TrimLeft(s.body, " ")
	switch {
	case len(b) == 0:
		if s.enveloped() {
			return taken
		}
		return foreign
	case bytes.HasPrefix(b, []byte("Crashing")):
		return last
	case bytes.HasPrefix(b, []byte("Regs address ")):
		if w := hexAfter(b, "Regs address "); w.Known {
			t.f.detail("trap frame", w.hex())
		}
		return taken
	case t.dumped && t.nested(b):
		return over
	}
	if rest, ok := after(b, "base is "); ok {
		t.caller(rest)
		return taken
	}
	if addr, n := hexValue(b); n > 0 && bytes.HasPrefix(b[n:], []byte(": ")) {
		if data, _ := hexBytes(b[n+2:], 16); len(data) > 0 {
			t.f.row(addr, data)
			return taken
		}
	}
	if x86Registers(t.f, b) > 0 {
		t.dumped = true
		if pc := t.f.Reg("rip"); pc.Known && !t.f.PC.Known {
			t.f.PC = pc
		}
		return taken
	}
	return foreign
}

// nested recognises the dump of another fault, that of the handler itself. It
// is glued to the row of memory the handler was about to print: "6b6b50:RIP: …".
// If that row is the one around pc, no memory is there.
func (t *trapX86) nested(b []byte) bool {
	i := bytes.Index(b, []byte("RIP: "))
	if i < 0 || !bytes.Contains(b[i:], []byte(" CS: ")) {
		return false
	}
	at, n := hexValue(b)
	pc := t.f.PC
	if n > 0 && bytes.HasPrefix(b[n:], []byte(":")) && i == n+1 && pc.Known && pc.V-at < 64 {
		t.f.Access = Exec
		t.f.infer("instruction fetch: the guest could not read the memory at pc either")
	}
	return true
}

// caller takes "0x… caller is 0x…". A corrupt frame chain makes the guest print
// such lines for ever: they count while the bases rise, and at most maxBacktrace.
func (t *trapX86) caller(b []byte) {
	base, _ := hexValue(b)
	w := hexAfter(b, "caller is ")
	if !w.Known || w.V == 0 || t.broken {
		return
	}
	if base <= t.base || len(t.f.Backtrace) >= maxBacktrace {
		t.broken = true
		t.f.infer("the frame chain is corrupt or very deep: only its first entries are kept")
		return
	}
	t.base = base
	t.f.frame(CodeAddr{Addr: w.V, Kind: ReturnAddr})
}
