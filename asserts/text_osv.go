package asserts

import (
	"bytes"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// osv collects OSv's reports (core/mmu.cc, runtime.cc, arch/x64/dump.cc,
// arch/aarch64/dump.cc):
//
//	page fault outside application, addr: 0x…
//	[registers]
//	RIP: 0x… <symbol+offset>
//	RFL: 0x…  CS:  0x…  SS:  0x…
//	RAX: 0x…  …
//	Aborted
//
//	[backtrace]
//	0x… <symbol+offset>
//
// "Aborted" alone begins one too, if a backtrace follows.
type osv struct {
	f     *Fault
	sure  bool
	trace bool
}

func beginOSv(s *segment, open assembler) assembler {
	b := bytes.TrimSpace(s.body)
	if o, ok := open.(*osv); ok && o.f != nil && len(o.f.Backtrace) <= 1 && !o.trace && sameMoment(o.f, s) {
		if bytes.Equal(b, []byte("Aborted")) || bytes.Equal(b, []byte("[backtrace]")) {
			o.add(s)
			return o
		}
	}
	if a, ok := open.(*single); ok && a.f.Kind == Assertion && a.f.Source.Format == "libc" && sameMoment(a.f, s) &&
		(bytes.Equal(b, []byte("Aborted")) || bytes.Equal(b, []byte("[backtrace]"))) {
		o := &osv{f: a.f, sure: true} // its libc's assert() calls OSv's abort()
		o.add(s)
		return o
	}
	f := newFault(UnknownTrap, "osv", s)
	o := &osv{f: f, sure: true}
	switch {
	case bytes.HasPrefix(b, []byte("page fault outside application, addr: ")):
		f.Kind = PageFault
		f.Address = hexAfter(b, "addr: ")
		f.PC = hexAfter(b, " pc:")
	case bytes.Equal(b, []byte("general protection fault")):
		f.Kind, f.Arch = GeneralProtection, arch.X86_64
	case bytes.Equal(b, []byte("trying to execute null pointer")), bytes.HasPrefix(b, []byte("trying to execute null pointer")):
		f.Kind, f.Subkind, f.Access = PageFault, SubNullCall, Exec
		f.Reason = "call of a null function pointer"
	case bytes.HasPrefix(b, []byte("__stack_chk_fail(): Stack overflow detected")):
		f.Kind = StackSmash
		f.Reason = "a function's stack canary was overwritten before it returned"
	case bytes.HasPrefix(b, []byte("unexpected synchronous exception at level:")):
		f.Arch = arch.ARM64
		f.Reason, f.derived = string(b), true
	case bytes.HasPrefix(b, []byte("DUMMY_HANDLER for ")):
		what, _, _ := strings.Cut(string(b[len("DUMMY_HANDLER for "):]), " ")
		f.Kind, f.Arch = osvTrap(what), arch.X86_64
		f.Reason, f.derived = "trap without a handler: "+strings.TrimPrefix(what, "#"), true
	case bytes.Equal(b, []byte("Aborted")), bytes.Equal(b, []byte("[backtrace]")):
		f.Kind = ExplicitCrash
		f.Subkind = "abort"
		f.Reason, f.derived = "abort() was called; its text, if any, was not printed", true
		o.sure = len(b) > len("Aborted")
		o.trace = o.sure
	default:
		return nil
	}
	return o
}

// osvTrap maps "#UD" and "UD" to kinds.
func osvTrap(name string) Kind {
	switch strings.ToUpper(strings.TrimPrefix(name, "#")) {
	case "DE":
		return DivideError
	case "DB":
		return DebugTrap
	case "BP":
		return Breakpoint
	case "UD":
		return InvalidOpcode
	case "DF":
		return DoubleFault
	case "GP", "SS", "NP", "TS":
		return GeneralProtection
	case "AC":
		return Alignment
	case "MC":
		return MachineCheck
	}
	return UnknownTrap
}

func (o *osv) fault() *Fault   { return o.f }
func (o *osv) confirmed() bool { return o.sure }
func (o *osv) ended()          {}

// passed gives up on "Aborted" when no backtrace follows.
func (o *osv) passed(_ *segment, gap int) bool { return gap > 3 }

func (o *osv) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	f := o.f
	switch {
	case len(b) == 0:
		return foreign
	case bytes.Equal(b, []byte("[backtrace]")):
		o.trace, o.sure = true, true
		return taken
	case bytes.Equal(b, []byte("[registers]")), bytes.Equal(b, []byte("Aborted")):
		return taken
	case bytes.HasPrefix(b, []byte("Halting.")):
		return last
	case o.trace:
		return o.frame(b)
	}
	if rest, ok := bytes.CutPrefix(b, []byte("ESR: ")); ok {
		if digits, n := hexDigits(rest); n > 0 {
			arm64Register(f, "ESR_EL1", digits)
		}
		return taken
	}
	if o.arm64(b) {
		return taken
	}
	if x86Registers(f, b) == 0 {
		return foreign
	}
	f.Arch = arch.X86_64
	if pc := f.Reg("rip"); pc.Known && !f.PC.Known {
		f.PC = pc
	}
	if rest, ok := bytes.CutPrefix(b, []byte("RIP: ")); ok && len(f.Backtrace) == 0 {
		if c, ok := osvPlace(rest); ok {
			c.Kind = AtPC
			f.frame(c)
		}
	}
	o.repeated()
	return taken
}

// arm64 takes "PC: 0x… <…>" and "X00: 0x… X01: 0x… X02: 0x…".
func (o *osv) arm64(b []byte) bool {
	f := o.f
	if rest, ok := bytes.CutPrefix(b, []byte("PC: ")); ok {
		if digits, n := hexDigits(rest); n > 0 {
			f.Arch = arch.ARM64
			arm64Register(f, "pc", digits)
			if c, ok := osvPlace(rest); ok && len(f.Backtrace) == 0 {
				c.Kind = AtPC
				f.frame(c)
			}
		}
		return true
	}
	if len(b) < 4 || b[0] != 'X' || b[1] < '0' || b[1] > '9' {
		return false
	}
	for len(b) > 4 && b[0] == 'X' {
		num, n := decimal(b[1:])
		if n == 0 || num > 30 || 1+n >= len(b) || b[1+n] != ':' {
			break
		}
		rest := bytes.TrimLeft(b[2+n:], " ")
		digits, used := hexDigits(rest)
		if used == 0 {
			break
		}
		arm64Register(f, regX(num), digits)
		b = bytes.TrimLeft(rest[used:], " ")
	}
	return true
}

// repeated drops r13 to r15 where they repeat r9 to r11: OSv prints those in
// their place.
func (o *osv) repeated() {
	f := o.f
	kept := f.Registers[:0]
	for _, r := range f.Registers {
		real := map[string]string{"r13": "r9", "r14": "r10", "r15": "r11"}[r.Name]
		if real != "" && r.Value.Known && (r.Value == f.Reg(real) || !f.Reg(real).Known) {
			f.lacks("r13 to r15 (OSv prints r9 to r11 in their place)")
			continue
		}
		kept = append(kept, r)
	}
	f.Registers = kept
}

// frame takes "0x… <symbol+offset>". What handled the fault comes first.
func (o *osv) frame(b []byte) verdict {
	c, ok := osvPlace(b)
	if !ok {
		return over
	}
	f := o.f
	c.Kind = ReturnAddr
	f.frame(c)
	if f.Kind == ExplicitCrash && f.derived && (c.Function == "page_fault" || strings.HasPrefix(c.Function, "mmu::vm_fault(")) {
		f.Kind, f.Subkind, f.Arch = PageFault, "", arch.X86_64
		f.Reason = ""
		f.infer("page fault: its handler is in the backtrace (" + c.Function + ")")
	}
	if c.Function == "page_fault" && f.Kind == PageFault {
		// So far the frames were the handler's.
		if f.Backtrace = f.Backtrace[:1]; f.Backtrace[0].Kind != AtPC {
			f.Backtrace = nil
		}
	}
	return taken
}

// osvPlace splits "0x… <symbol+offset>"; "???" is no symbol.
func osvPlace(b []byte) (c CodeAddr, ok bool) {
	if !bytes.HasPrefix(b, []byte("0x")) {
		return c, false
	}
	v, n := hexValue(b)
	rest := bytes.TrimLeft(b[n:], " ")
	if n == 0 || len(rest) > 0 && rest[0] != '<' {
		return c, false
	}
	c.Addr = v
	if len(rest) > 2 {
		name := string(rest[1:min(len(rest), 4*maxName)])
		if i := strings.LastIndexAny(name, "+>"); i > 0 {
			if j := strings.LastIndexByte(name, '+'); j > 0 {
				i = j
			}
			name = name[:i]
		}
		if !strings.HasPrefix(name, "???") {
			c.Function = name
		}
	}
	return c, true
}
