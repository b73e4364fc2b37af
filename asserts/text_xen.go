package asserts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// xen collects the hypervisor's reports (xen/arch/x86/traps.c,
// xen/common/domain.c, xen/drivers/char/console.c), of itself or of a guest:
//
//	Pagetable walk from X:                           lines of the walk
//	domain_crash called from FILE:LINE
//	Domain 3 (vcpu#0) crashed on cpu#3:
//	----[ Xen-VERSION  x86_64  debug=n  Not tainted ]----
//	CPU:    3
//	RIP:    e033:[<X>] symbol+offset
//	RFLAGS: X   EM: 1   CONTEXT: pv guest (d3v0)
//	rax: X   rbx: X   rcx: X
//	Xen call trace:
//	   [<X>] R symbol+0x…/0x…
//	****************************************
//	Panic on CPU 0:
//	FATAL PAGE FAULT
//	[error_code=0002]
//	Faulting linear address: X
//
// Xen tells in the lines of a panic, below the registers, what it was.
type xen struct {
	f        *Fault
	domain   bool // a guest's crash, not the hypervisor's
	panicked int  // lines since "Panic on CPU"
	inPanic  bool
	trace    bool
}

func beginXen(s *segment, open assembler) assembler {
	b := bytes.TrimSpace(s.body)
	if x, ok := open.(*xen); ok && !x.inPanic && sameMoment(x.f, s) {
		if v := x.add(s); v == taken {
			return x
		}
	}
	f := newFault(UnknownTrap, "xen", s)
	x := &xen{f: f}
	switch {
	case bytes.HasPrefix(b, []byte("Pagetable walk from ")) && s.hypervisor,
		bytes.HasPrefix(b, []byte("domain_crash")) && bytes.Contains(b, []byte(" called from ")),
		bytes.HasPrefix(b, []byte("Domain ")) && bytes.Contains(b, []byte(" crashed on cpu#")),
		bytes.HasPrefix(b, []byte("----[ Xen-")), bytes.HasPrefix(b, []byte("Hit #CP[")), bytes.HasPrefix(b, []byte("Panic on CPU ")):
		x.add(s)
	case bytes.HasPrefix(b, []byte("Xen BUG at ")):
		f.Kind = Bug
		f.Location = fileLine(string(b[len("Xen BUG at "):]))
		f.Reason = "BUG() was reached at " + f.Location.File
	case bytes.HasPrefix(b, []byte("Assertion '")) && bytes.Contains(b, []byte("' failed at ")):
		x.assertion(string(b))
	default:
		return nil
	}
	return x
}

// assertion takes "Assertion 'EXPR' failed at FILE:LINE".
func (x *xen) assertion(text string) {
	f := x.f
	expr, place, _ := strings.Cut(strings.TrimPrefix(text, "Assertion '"), "' failed at ")
	f.Kind = Assertion
	f.Reason, f.derived = "assertion failed: "+expr, false
	f.Location = fileLine(place)
}

func (x *xen) fault() *Fault { return x.f }

func (x *xen) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if len(s.lib) > 0 { // "[error_code=0002]" behind a timestamp looks like one
		b = append(append([]byte{'['}, s.lib...), ']')
	}
	switch {
	case len(b) == 0:
		return foreign
	case bytes.HasPrefix(b, []byte("****************")):
		if x.inPanic && x.panicked > 0 {
			return last
		}
		return taken
	case bytes.HasPrefix(b, []byte("Panic on CPU ")):
		x.inPanic, x.trace = true, false
		return taken
	case x.inPanic:
		x.panicked++
		x.why(b)
		return taken
	}
	for _, take := range [...]func([]byte) bool{x.header, x.registers, x.frame} {
		if take(b) {
			return taken
		}
	}
	return foreign
}

// header takes the lines above the registers.
func (x *xen) header(b []byte) bool {
	f := x.f
	switch {
	case bytes.HasPrefix(b, []byte("Pagetable walk from ")):
		if w := hexAfter(b, "walk from "); w.Known && !f.Address.Known {
			f.Address = w
			if f.Kind == UnknownTrap {
				f.Kind = PageFault
				f.infer("page fault: Xen walked the page tables of an address")
			}
		}
	case bytes.HasPrefix(b, []byte("domain_crash")):
		_, from, _ := bytes.Cut(b, []byte(" called from "))
		f.detail("crashed by", symbolText(from))
		x.domain = true
	case bytes.HasPrefix(b, []byte("Domain ")) && bytes.Contains(b, []byte(" crashed on cpu#")):
		x.domain = true
		if v, n := decimal(b[len("Domain "):]); n > 0 {
			f.detail("domain", fmt.Sprint(v))
			f.Reason, f.derived = fmt.Sprintf("Xen ended domain %d", v), true
		}
	case bytes.HasPrefix(b, []byte("----[ Xen-")):
		version, _, _ := bytes.Cut(b[len("----[ Xen-"):], []byte(" "))
		if f.Kernel == "" && !x.domain {
			f.Kernel = "Xen " + string(version[:min(len(version), 64)])
		}
		if x.domain {
			f.detail("hypervisor", "Xen "+string(version[:min(len(version), 64)]))
		}
		if f.Reason == "" {
			f.Reason, f.derived = "Xen shows the state of a processor", true
		}
	case bytes.HasPrefix(b, []byte("Hit #CP[")):
		x.control(b)
	case len(b) > 5 && b[0] == 'L' && b[1] >= '1' && b[1] <= '5' && b[2] == '[':
	case bytes.HasPrefix(b, []byte("CPU: ")), bytes.HasPrefix(b, []byte("Guest stack trace")), bytes.HasPrefix(b, []byte("Xen code around")),
		bytes.HasPrefix(b, []byte("Xen stack trace from")):
		x.trace = false
	case bytes.HasPrefix(b, []byte("Xen call trace:")):
		x.trace = true
	default:
		return false
	}
	return true
}

// registers takes the register lines.
func (x *xen) registers(b []byte) bool {
	f := x.f
	if rest, ok := bytes.CutPrefix(b, []byte("RIP: ")); ok {
		rest = bytes.TrimLeft(rest, " ")
		digits, n := hexDigits(rest)
		if n == 0 || n > 4 || !bytes.HasPrefix(rest[n:], []byte(":[<")) {
			return false
		}
		f.Arch = arch.X86_64
		f.setReg(cutValue(regName{name: "cs", digits: 4}, digits))
		pc, used := hexDigits(rest[n+3:])
		f.setReg(cutValue(regName{name: "rip", digits: 16}, pc))
		f.PC = f.Reg("rip")
		if name := xenSymbol(rest[min(len(rest), n+3+used):]); name != "" && f.PC.Known {
			f.frame(CodeAddr{Addr: f.PC.V, Kind: AtPC, Function: name})
		}
		return true
	}
	if rest, ok := after(b, "CONTEXT: "); ok {
		if bytes.HasPrefix(rest, []byte("hypervisor")) {
			f.detail("context", "hypervisor")
		} else {
			f.detail("context", symbolText(rest))
			if w, _, ok := bytes.Cut(rest, []byte(")")); ok {
				if _, vcpu, ok := bytes.Cut(w, []byte("(")); ok && len(vcpu) < 16 {
					f.Thread = string(vcpu)
				}
			}
		}
	}
	if bytes.HasPrefix(b, []byte("ds: ")) || bytes.HasPrefix(b, []byte("fsb: ")) {
		return x86Registers(f, b) > 0 || true
	}
	return x86Registers(f, b) > 0
}

// frame takes "[<X>] R symbol+0x…/0x…"; R is a return address, S a word found on
// the stack, F a frame pointer's.
func (x *xen) frame(b []byte) bool {
	if !x.trace || !bytes.HasPrefix(b, []byte("[<")) {
		return false
	}
	v, n := hexValue(b[2:])
	if n == 0 {
		return false
	}
	_, rest, _ := bytes.Cut(b, []byte(">]"))
	rest = bytes.TrimSpace(rest)
	c := CodeAddr{Addr: v, Kind: ReturnAddr}
	if len(rest) > 2 && rest[1] == ' ' {
		if rest[0] == 'S' {
			c.How = "found by scanning the stack"
		}
		rest = rest[2:]
	}
	c.Function = xenSymbol(rest)
	if x.f.PC.Known && v == x.f.PC.V {
		return true
	}
	x.f.frame(c)
	return true
}

// xenSymbol returns the name in "[>] name+0x…/0x…"; a static one is
// "file.c#name".
func xenSymbol(b []byte) string {
	b = bytes.TrimLeft(b, ">] ")
	if i := bytes.IndexByte(b, '#'); i >= 0 && i < maxName && bytes.IndexByte(b[:i], ' ') < 0 {
		b = b[i+1:]
	}
	return kernelSymbol(b)
}

// why takes the lines of a panic.
func (x *xen) why(b []byte) {
	f := x.f
	text := string(b[:min(len(b), maxReason)])
	switch {
	case strings.HasPrefix(text, "FATAL PAGE FAULT"):
		f.Kind, f.Reason = PageFault, ""
	case strings.HasPrefix(text, "GENERAL PROTECTION FAULT"):
		f.Kind, f.derived = GeneralProtection, true
	case strings.HasPrefix(text, "DOUBLE FAULT"):
		f.Kind, f.derived = DoubleFault, true
		f.Reason = "double fault"
	case strings.HasPrefix(text, "CONTROL-FLOW PROTECTION FAULT"):
		x.control(b)
	case strings.HasPrefix(text, "FATAL TRAP: vector = "):
		if v, n := decimal(b[len("FATAL TRAP: vector = "):]); n > 0 && v < 256 {
			f.Kind, f.TrapNumber = x86TrapKind(v), Value(v)
			f.Reason, f.derived = fmt.Sprintf("trap %d", v), true
		}
	case strings.HasPrefix(text, "[error_code="):
		f.ErrorCode = hexAfter(b, "[error_code=")
	case strings.HasPrefix(text, "Faulting linear address: "):
		f.Address = hexAfter(b, "address: ")
	case strings.HasPrefix(text, "Xen BUG at "):
		f.Kind = Bug
		f.Location = fileLine(text[len("Xen BUG at "):])
		f.Reason, f.derived = "BUG() was reached at "+f.Location.File, false
	case strings.HasPrefix(text, "Assertion '"):
		x.assertion(text)
	case x.panicked == 1 && f.Kind == UnknownTrap:
		f.Kind = Panic
		f.Reason, f.derived = text, false
	}
}

// control takes "#CP[0003] endbranch".
func (x *xen) control(b []byte) {
	f := x.f
	f.Kind, f.Arch = ControlProtection, arch.X86_64
	f.ErrorCode = hexAfter(b, "#CP[")
	_, name, _ := bytes.Cut(b, []byte("] "))
	name, _, _ = bytes.Cut(name, []byte(" at "))
	f.Reason, f.derived = "control-flow protection", true
	if len(name) > 0 && len(name) < 32 {
		f.Reason += ": " + string(bytes.TrimSpace(name))
	}
}
