package asserts

import (
	"bytes"

	"github.com/ukdbg/ukdbg/target/arch"
)

// screen collects the crash screens of Unikraft's cloud builds 0.14 to 0.16
// ("Unikraft crash - ", upper-case registers) and of 0.20 and later
// (lib/ukdebug/crash.c, "Unikraft Crash - "; a fork prints "Panic"):
//
//	Unikraft Crash - CODENAME (VERSION)
//	Thread "NAME"@0x…
//	Registers:      rip: cs:…   rsp: ss:… eflags: … orig_rax: …   …
//	Stack:          ADDRESS  8 bytes  |ascii|
//	Call Trace:     [0x…]
//
// Its lines may be joined into one, so sections are found by their markers.
type screen struct {
	f       *Fault
	section string
	entries int // of the call trace
}

var screenTitles = [...]string{"Unikraft Crash - ", "Unikraft crash - ", "Unikraft Panic - "}

func beginScreen(s *segment, open assembler) assembler {
	for _, title := range screenTitles {
		rest, ok := after(s.body, title)
		if !ok {
			continue
		}
		f := screenFault(s, open)
		f.Kernel = versionText(rest)
		c := &screen{f: f, section: "Registers:"}
		if i := bytes.IndexByte(rest, ')'); i >= 0 {
			c.scan(rest[i+1:])
		}
		return c
	}
	return nil
}

// screenFault returns the fault the screen belongs to: that of the reason
// printed right before, or a new one whose kind the screen does not tell.
func screenFault(s *segment, open assembler) *Fault {
	if c, ok := open.(*critText); ok && !c.confirmed() {
		c.confirm("a crash screen follows it")
	}
	if _, another := open.(*screen); open != nil && !another {
		f := open.fault()
		if f.Kind != UndefinedBehavior && f.Kind != Warning && sameMoment(f, s) {
			return f
		}
	}
	f := newFault(UnknownTrap, "unikraft-screen", s)
	f.Reason, f.derived = "the guest crashed; its screen does not say why", true
	f.lacks("trap number")
	return f
}

func (c *screen) fault() *Fault { return c.f }

func (c *screen) add(s *segment) verdict {
	if len(bytes.TrimSpace(s.body)) == 0 {
		if s.enveloped() {
			return taken
		}
		return foreign
	}
	if c.scan(s.body) {
		return taken
	}
	return foreign
}

// sectionMarks begin a section of the screen.
var sectionMarks = [...]string{"Registers:", "Stack:", "Call Trace:"}

// scan takes what it knows from b and reports whether that was anything.
func (c *screen) scan(b []byte) bool {
	known := false
	for len(b) > 0 {
		mark, at := nextMark(b)
		part := b
		if mark != "" {
			part, b = b[:at], b[at+len(mark):]
		} else {
			b = nil
		}
		if c.part(part) {
			known = true
		}
		if mark != "" {
			c.section = mark
			known = true
		}
	}
	return known
}

func nextMark(b []byte) (mark string, at int) {
	at = len(b)
	for _, m := range sectionMarks {
		if i := bytes.Index(b, []byte(m)); i >= 0 && i < at {
			mark, at = m, i
		}
	}
	return mark, at
}

// part takes text of the current section.
func (c *screen) part(b []byte) bool {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return false
	}
	if c.thread(b) {
		return true
	}
	switch c.section {
	case "Registers:":
		return c.registers(b) || isArt(b)
	case "Stack:":
		return c.stack(b)
	}
	return c.trace(b)
}

func (c *screen) thread(b []byte) bool {
	if bytes.HasPrefix(b, []byte("Current thread information corrupted")) {
		c.f.infer("the current thread's struct is corrupt: the guest could not read it")
		return true
	}
	rest, ok := after(b, `Thread "`)
	if !ok {
		return false
	}
	i := bytes.Index(rest, []byte(`"@`))
	if i < 0 || i > maxName {
		return false
	}
	c.f.Thread = string(rest[:i])
	if v, n := hexValue(rest[i+2:]); n > 0 {
		c.f.ThreadAddr = Value(v)
	}
	return true
}

func (c *screen) registers(b []byte) bool {
	if x86Registers(c.f, b) > 0 {
		c.f.Arch = arch.X86_64
		if pc := c.f.Reg("rip"); pc.Known {
			c.f.PC = pc
		}
		return true
	}
	if c.arm64(b) > 0 {
		c.f.Arch = arch.ARM64
		return true
	}
	return false
}

// arm64 takes "X0 : … X1 : …" and "ESR_EL1: 0x…" pairs.
func (c *screen) arm64(b []byte) (found int) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, ':')
		if i < 0 {
			return found
		}
		printed := lastWord(b[:i])
		b = bytes.TrimLeft(b[i+1:], " ")
		digits, n := hexDigits(b)
		name := arm64Name(printed)
		if n == 0 || name == "" {
			continue
		}
		arm64Register(c.f, name, digits)
		found++
		b = b[n:]
	}
	return found
}

func arm64Name(printed []byte) string {
	if len(printed) >= 2 && len(printed) <= 3 && printed[0] == 'X' {
		if v, n := decimal(printed[1:]); n == len(printed)-1 && v <= 30 {
			return "x" + string(printed[1:])
		}
	}
	for _, l := range arm64Lines {
		if string(printed) == l.printed {
			return l.name
		}
	}
	return ""
}

// isArt recognises the drawing: blanks and a few strokes.
func isArt(b []byte) bool {
	return len(b) <= 12 && len(bytes.Trim(b, " _cxo(|O)/V")) == 0
}

func (c *screen) stack(b []byte) bool {
	addr, n := hexValue(b)
	if n == 0 {
		return false
	}
	rest := bytes.TrimLeft(b[n:], " ")
	if bytes.HasPrefix(rest, []byte("Bad stack address")) {
		c.f.detail("stack", "unreadable at "+Value(addr).hex())
		return true
	}
	data, _ := hexBytes(rest, 8)
	if len(data) == 0 {
		return false
	}
	c.f.row(addr, data)
	return true
}

// trace takes "[0x…]" entries. On x86_64 all but the first are the return
// address less one; on arm64 they are return addresses. A last entry of zero is
// the stack's end.
func (c *screen) trace(b []byte) bool {
	if bytes.HasPrefix(b, []byte("Bad frame pointer")) {
		c.f.infer("the frame chain is broken: the guest could not read its next entry")
		return true
	}
	known := false
	for {
		i := bytes.Index(b, []byte("[0x"))
		if i < 0 {
			return known
		}
		v, n := hexValue(b[i+1:])
		if n == 0 || i+1+n >= len(b) || b[i+1+n] != ']' {
			return known
		}
		b = b[i+1+n:]
		known = true
		c.entry(v)
	}
}

func (c *screen) entry(v uint64) {
	c.entries++
	switch {
	case c.entries == 1:
		c.f.Backtrace = nil // the print call's address, if any, says less
		c.f.frame(CodeAddr{Addr: v, Kind: AtPC})
	case v == 0:
	case c.f.Arch == arch.ARM64:
		c.f.frame(CodeAddr{Addr: v, Kind: ReturnAddr})
	default:
		c.f.frame(CodeAddr{Addr: v, Kind: BeforeReturn})
	}
}
