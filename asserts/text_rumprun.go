package asserts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// rumprun collects what Rumprun's bare-metal kernel and NetBSD's code in it print
// (lib/libbmk_core, platform/hw/arch; sys/kern/subr_prf.c, kern_assert.c):
//
//	FATAL TRAP: #PF at 0x… (0x…)
//	PANIC: TEXT
//	assert "EXPR" FAILED
//	panic: kernel diagnostic assertion "EXPR" failed: file "FILE", line N
//	panic: TEXT
//	halted
type rumprun struct{ f *Fault }

func beginRumprun(s *segment, _ assembler) assembler {
	b := bytes.TrimSpace(s.body)
	f := newFault(Panic, "rumprun", s)
	switch {
	case bytes.HasPrefix(b, []byte("FATAL TRAP: ")):
		f.Arch = arch.X86_64
		name, where, _ := bytes.Cut(b[len("FATAL TRAP: "):], []byte(" at "))
		f.Kind = rumpTrap(string(name))
		if f.Kind != PageFault {
			f.Reason, f.derived = "trap "+string(name[:min(len(name), maxName)]), true
		}
		if v, n := hexValue(where); n > 0 {
			f.PC = Value(v)
		}
		if w := hexAfter(where, "(0x"); w.Known {
			f.ErrorCode = w
		}
		f.lacks("registers")
	case bytes.HasPrefix(b, []byte("PANIC: ")):
		f.Reason = string(b[len("PANIC: "):])
	case bytes.HasPrefix(b, []byte(`assert "`)) && bytes.HasSuffix(b, []byte(`" FAILED`)):
		f.Kind = Assertion
		f.Reason = "assertion failed: " + string(b[len(`assert "`):len(b)-len(`" FAILED`)])
	case bytes.HasPrefix(b, []byte("panic: ")):
		f.netbsdPanic(string(b[len("panic: "):]))
	default:
		return nil
	}
	return &rumprun{f}
}

// rumpTrap is the kind of a trap by its name, "#PF" or in words.
func rumpTrap(name string) Kind {
	switch {
	case name == "#PF" || strings.Contains(name, "page fault"):
		return PageFault
	case strings.Contains(name, "protection"):
		return GeneralProtection
	case strings.Contains(name, "invalid opcode"), strings.Contains(name, "privileged instruction"):
		return InvalidOpcode
	case strings.Contains(name, "divide"):
		return DivideError
	case strings.Contains(name, "double fault"):
		return DoubleFault
	}
	return osvTrap(name)
}

// netbsdPanic takes the text behind "panic: " of NetBSD's panic().
func (f *Fault) netbsdPanic(text string) {
	f.Reason = text
	rest, ok := strings.CutPrefix(text, "kernel ")
	if !ok {
		return
	}
	expr, place, ok := strings.Cut(rest, `" failed: file "`)
	i := strings.Index(expr, `assertion "`)
	if !ok || i < 0 {
		return
	}
	f.Kind = Assertion
	f.Reason = "assertion failed: " + expr[i+len(`assertion "`):]
	if file, line, ok := strings.Cut(place, `", line `); ok {
		if n, w := decimal([]byte(line)); w > 0 && w < 9 {
			f.Location = Location{File: file, Line: int(n)}
		}
	}
}

func (r *rumprun) fault() *Fault { return r.f }

// add takes the register lines some builds print, and the end.
func (r *rumprun) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if bytes.Equal(b, []byte("halted")) {
		return last
	}
	if bytes.HasPrefix(b, []byte("cpu_Debugger()")) || bytes.HasPrefix(b, []byte("rebooting")) {
		return taken
	}
	return foreign
}

// beginNetBSDASan takes one line of NetBSD's sys/kern/subr_asan.c, which Rumprun
// and other kernels use too:
//
//	ASan: Unauthorized Access In 0x…: Addr 0x… [8 bytes, read, PoolUseAfterFree]
func beginNetBSDASan(s *segment, _ assembler) assembler {
	rest, ok := after(s.body, "ASan: Unauthorized Access In ")
	if !ok {
		return nil
	}
	f := newFault(AddressSanitizer, "kasan-netbsd", s)
	what := "KASAN: invalid access"
	if v, n := hexValue(rest); n > 0 {
		f.PC = Value(v)
		f.frame(CodeAddr{Addr: v, Kind: AtPC})
	}
	f.Address = hexAfter(rest, "Addr ")
	if list, ok := after(rest, " ["); ok {
		list, _, _ = bytes.Cut(list, []byte("]"))
		parts := strings.Split(string(list[:min(len(list), maxName)]), ", ")
		if v, n := decimal([]byte(parts[0])); n > 0 {
			f.detail("size", fmt.Sprint(v))
		}
		if len(parts) > 1 {
			f.Access = map[string]Access{"read": Read, "write": Write}[parts[1]]
		}
		if len(parts) > 2 {
			f.detail("redzone", parts[2])
			f.Subkind = netbsdRedzone(parts[2])
		}
		if f.Access != "" {
			what = "KASAN: invalid " + string(f.Access)
		}
		what += " of " + parts[0]
	}
	f.Reason = what
	if d := f.Detail("redzone"); d != "" {
		f.Reason += ": " + d
	}
	f.lacks("registers")
	f.goesOn = !bytes.Contains(s.body, []byte("panic: "))
	return &netbsdASan{f}
}

// netbsdASan takes the stack behind the report: "#0 0x… in FUNCTION <netbsd>".
type netbsdASan struct{ f *Fault }

func (a *netbsdASan) fault() *Fault { return a.f }

func (a *netbsdASan) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if len(b) == 0 || b[0] != '#' {
		return foreign
	}
	_, n := decimal(b[1:])
	rest, ok := after(b, " 0x")
	v, used := hexValue(rest)
	if n == 0 || !ok || used == 0 {
		return foreign
	}
	c := CodeAddr{Addr: v, Kind: ReturnAddr}
	if fn, ok := after(rest, " in "); ok {
		name, _, _ := bytes.Cut(fn[:min(len(fn), maxName)], []byte(" "))
		c.Function = string(name)
	}
	switch f := a.f; {
	case f.PC.Known && v == f.PC.V && len(f.Backtrace) == 1:
		f.Backtrace[0].Function = c.Function
	case strings.HasPrefix(c.Function, "kasan_"), strings.HasPrefix(c.Function, "__asan_"):
	default:
		f.frame(c)
	}
	return taken
}

// netbsdRedzone maps the names of NetBSD's redzones.
func netbsdRedzone(name string) string {
	switch name {
	case "PoolUseAfterFree":
		return SubUseAfterFree
	case "MallocRedZone", "KmemRedZone", "PoolRedZone":
		return SubHeapOverflow
	case "StackLeft", "StackRight", "StackMiddle", "StackPartial":
		return SubStackOverflow
	case "UseAfterScope":
		return "stack-use-after-scope"
	case "UseAfterRet":
		return "stack-use-after-return"
	case "GenericRedZone", "RedZonePartial":
		return SubOutOfBounds
	}
	return ""
}
