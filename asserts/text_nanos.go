package asserts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// nanos collects what Nanos prints of a fault (src/x86_64/interrupt.c,
// src/aarch64/interrupt.c, src/unix/signal.c), hex without 0x:
//
//	no fault handler for frame X        or   *** signal 11 received by tid 2, errno 0, code 1
//	lastvector: 000000000000000e (Page fault)      (interrupt: in 2018)
//	     frame: X
//	error code: 0000000000000006
//	   address: 0000000000000010
//
//	   rax: X        and 23 more, each perhaps with a tab and "(symbol + offset/size)"
//
//	frame trace:
//	ADDRESS:   RETURN ADDRESS
//	stack trace:
//	ADDRESS:   WORD
type nanos struct {
	f    *Fault
	part string
	base uint64 // of the last frame
}

func beginNanos(s *segment, open assembler) assembler {
	b := bytes.TrimSpace(s.body)
	if n, ok := open.(*nanos); ok && sameMoment(n.f, s) && len(n.f.Registers) == 0 {
		if v := n.add(s); v == taken {
			return n
		}
	}
	if rest, ok := bytes.CutPrefix(b, []byte("assertion ")); ok {
		return nanosAssert(s, rest)
	}
	f := newFault(UnknownTrap, "nanos", s)
	n := &nanos{f: f}
	switch {
	case bytes.HasPrefix(b, []byte("*** signal ")) && bytes.Contains(b, []byte(" received by tid ")):
		v, _ := decimal(b[len("*** signal "):])
		f.detail("signal", fmt.Sprint(v))
		f.Reason, f.derived = fmt.Sprintf("signal %d ended the program", v), true
	case bytes.HasPrefix(b, []byte("no fault handler")), bytes.HasPrefix(b, []byte("exception during interrupt handling")),
		bytes.HasPrefix(b, []byte("frame ")) && bytes.HasSuffix(b, []byte(" already full")):
		f.Reason, f.derived = string(b[:min(len(b), maxName)]), true
	case bytes.HasPrefix(b, []byte("stack check failed")):
		f.Kind = StackSmash
		f.Reason = "a function's stack canary was overwritten before it returned"
	case bytes.HasPrefix(b, []byte("lastvector: ")), bytes.HasPrefix(b, []byte("interrupt: 0000")):
		n.add(s)
	default:
		return nil
	}
	return n
}

// nanosAssert takes "EXPR failed at FILE:LINE (IP X) in FUNCTION()".
func nanosAssert(s *segment, rest []byte) assembler {
	i := bytes.LastIndex(rest, []byte(" failed at "))
	if i < 0 || !bytes.Contains(rest[i:], []byte(" (IP ")) {
		return nil
	}
	f := newFault(Assertion, "nanos", s)
	f.Reason = "assertion failed: " + string(rest[:i])
	where := string(rest[i+len(" failed at "):])
	place, _, _ := strings.Cut(where, " ")
	f.Location = fileLine(place)
	c := CodeAddr{Kind: AtPC}
	if w := hexAfter([]byte(where), "(IP "); w.Known {
		f.PC, c.Addr = w, w.V
	}
	if _, fn, ok := strings.Cut(where, " in "); ok {
		c.Function, _, _ = strings.Cut(fn, "(")
	}
	f.frame(c)
	return &single{f}
}

func (n *nanos) fault() *Fault { return n.f }

func (n *nanos) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	f := n.f
	switch {
	case len(b) == 0:
		return foreign
	case bytes.Equal(b, []byte("*** Thread context:")):
		return taken
	case bytes.HasPrefix(b, []byte("fault address 0x")):
		f.Address = hexAfter(b, "fault address ")
		return taken
	case bytes.HasPrefix(b, []byte("frame trace:")), bytes.HasPrefix(b, []byte("stack trace:")):
		n.part = string(b[:5])
		return taken
	case bytes.HasPrefix(b, []byte("kernel load offset ")):
		if w := hexAfter(b, "offset "); w.Known {
			f.detail("kernel offset", w.hex())
		}
		return taken
	case bytes.HasPrefix(b, []byte("loaded klibs:")), bytes.HasPrefix(b, []byte("core dump")):
		return taken
	case bytes.HasPrefix(b, []byte("cpu ")) && bytes.Contains(b, []byte(", state ")):
		return taken
	}
	name, value, ok := bytes.Cut(b, []byte(":"))
	if !ok || len(name) == 0 || len(name) > 16 {
		return foreign
	}
	value = bytes.TrimLeft(value, " ")
	v, used := hexValue(value)
	if addr, w := hexValue(name); w == len(name) && w >= 8 && used > 0 {
		return n.word(addr, v, value[used:])
	}
	return n.field(string(name), value, v, used)
}

// field takes a line "name: value".
func (n *nanos) field(name string, value []byte, v uint64, used int) verdict {
	f := n.f
	switch name {
	case "lastvector", "interrupt":
		if used == 0 || v > 255 {
			return foreign
		}
		if bytes.Contains(value, []byte("(")) {
			f.Arch = arch.X86_64
			f.TrapNumber = Value(v)
			f.Kind = x86TrapKind(v)
			if v == trapPageFault {
				f.Reason = ""
			}
		}
		return taken
	case "error code":
		if used > 0 {
			f.ErrorCode = Value(v)
		}
		return taken
	case "address":
		if used > 0 {
			f.Address = Value(v)
		}
		return taken
	case "frame", "type", "active_cpu", "stack top", "fsbase", "gsbase", "ds", "es", "flags", "vector", "handler", "fault handler", "tid":
		return taken
	case "esr", "far", "elr", "spsr", "sp":
		reg := map[string]string{"esr": "ESR_EL1", "far": "FAR_EL1", "elr": "pc", "spsr": "cpsr", "sp": "sp"}[name]
		if used == 0 {
			return foreign
		}
		f.Arch = arch.ARM64
		f.setReg(Register{Name: reg, Value: Value(v)})
		switch name {
		case "elr":
			f.PC = Value(v)
			n.first(value[used:])
		case "esr":
			f.ErrorCode = Value(v)
		}
		return taken
	}
	if name[0] == 'x' {
		if num, w := decimal([]byte(name[1:])); w == len(name)-1 && w > 0 && num <= 30 && used > 0 {
			f.Arch = arch.ARM64
			f.setReg(Register{Name: regX(num), Value: Value(v)})
			return taken
		}
		return foreign
	}
	if x86Registers(f, append([]byte(name+": "), value...)) == 0 {
		return foreign
	}
	f.Arch = arch.X86_64
	if name == "rip" {
		f.PC = f.Reg("rip")
		n.first(value[used:])
	}
	return taken
}

// first makes the name behind the pc's value the first frame's.
func (n *nanos) first(rest []byte) {
	if name := nanosSymbol(rest); name != "" && len(n.f.Backtrace) == 0 && n.f.PC.Known {
		n.f.frame(CodeAddr{Addr: n.f.PC.V, Kind: AtPC, Function: name})
	}
}

// word takes a line of one of the traces. The frames are followed along the
// frame pointers as long as they rise; a program without frame pointers makes
// this end in nonsense.
func (n *nanos) word(addr, v uint64, rest []byte) verdict {
	f := n.f
	switch n.part {
	case "frame":
		if n.base != 0 && addr <= n.base {
			f.infer("the frame chain is corrupt or the program keeps no frame pointers: only its first entries are kept")
			n.part = "over"
			return taken
		}
		if n.part == "frame" {
			n.base = addr
			f.frame(CodeAddr{Addr: v, Kind: ReturnAddr, Function: nanosSymbol(rest)})
		}
		return taken
	case "stack":
		f.row(addr, binary.LittleEndian.AppendUint64(nil, v))
		return taken
	case "over":
		return taken
	}
	return foreign
}

// nanosSymbol returns the name in "\t(symbol + offset/size)".
func nanosSymbol(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) < 3 || b[0] != '(' {
		return ""
	}
	name, _, ok := bytes.Cut(b[1:], []byte(" + "))
	if !ok || len(name) > maxName {
		return ""
	}
	return string(name)
}

// regX is the name of arm64's general register n.
func regX(n uint64) string { return fmt.Sprintf("x%d", n) }
