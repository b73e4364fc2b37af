package asserts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// linux collects what Linux prints of a fault behind its first line (x86:
// arch/x86/kernel/dumpstack.c, arch/x86/mm/fault.c; arm64:
// arch/arm64/kernel/process.c, arch/arm64/mm/fault.c; mm/kasan/report.c):
//
//	#PF: supervisor write access in kernel mode
//	#PF: error_code(0x0003) - permissions violation
//	Oops: 0003 [#1] PREEMPT SMP
//	CPU: 1 PID: 1 Comm: NAME Not tainted VERSION #1
//	RIP: 0010:SYMBOL+0x…/0x… [MODULE]
//	RSP: 0018:…  EFLAGS: …        and the other registers
//	Call Trace:
//	 SYMBOL+0x…/0x…
//	---[ end trace … ]---
//
// Code addresses are printed as symbols, so most frames have no address.
type linux struct {
	f    *Fault
	part linuxPart
	// died: the line with the counter, "Oops: 0003 [#1]", was seen.
	died bool
	// user: registers that follow are those a program had at its system call.
	user bool
	// traced: the call trace was read; a second one repeats it.
	traced bool
	// owner is who "Allocated by" or "Freed by" names.
	owner string
	// last: the line that ends the report.
	last string
}

// linuxPart is what the lines being read belong to.
type linuxPart int

const (
	linuxHead linuxPart = iota
	linuxTrace
	linuxAllocated
	linuxFreed
	linuxOther
)

func (l *linux) fault() *Fault { return l.f }

func (l *linux) add(s *segment) verdict {
	b := bytes.TrimSpace(s.body)
	if l.last != "" && bytes.HasPrefix(b, []byte(l.last)) {
		return last
	}
	if len(b) == 0 {
		if l.part != linuxHead {
			l.part = linuxOther
		}
		return foreign
	}
	for _, take := range [...]func([]byte) bool{l.counter, l.cause, l.task, l.registers, l.section, l.frame, l.object, l.shadow} {
		if take(b) {
			return taken
		}
	}
	return foreign
}

// counter takes the line with the number of the oops: "Oops: 0003 [#1]",
// "invalid opcode: 0000 [#1]", "Internal error: Oops: 96000004 [#1]".
func (l *linux) counter(b []byte) bool {
	what, code, ok := dieLine(b)
	if !ok || l.died {
		return false
	}
	f := l.f
	if k := dieKind(what); f.Kind == UnknownTrap && k != UnknownTrap {
		f.Kind = k
	}
	if rest, ok := strings.CutPrefix(what, "Internal error: "); ok {
		f.Arch = arch.ARM64
		f.detail("oops", rest)
		l.syndrome(code)
	} else if f.Kind == PageFault && !f.ErrorCode.Known {
		f.ErrorCode = code
	}
	l.died = true
	return true
}

// dieLine splits "WHAT: CODE [#N] …"; WHAT may say more behind a comma.
func dieLine(b []byte) (what string, code Word, ok bool) {
	mark := bytes.Index(b, []byte(" [#"))
	if mark < 0 || mark > maxName {
		return "", Word{}, false
	}
	colon := bytes.LastIndex(b[:mark], []byte(": "))
	if colon < 0 {
		return "", Word{}, false
	}
	v, n := hexValue(b[colon+2 : mark])
	if n == 0 || n != mark-colon-2 {
		return "", Word{}, false
	}
	return string(b[:colon]), Value(v), true
}

// dieKind is the kind of a trap by the name die() gets (arch/x86/kernel/traps.c).
func dieKind(what string) Kind {
	for _, d := range [...]struct {
		begins string
		kind   Kind
	}{
		{"general protection fault", GeneralProtection}, {"invalid opcode", InvalidOpcode},
		{"divide error", DivideError}, {"double fault", DoubleFault}, {"int3", Breakpoint},
		{"alignment check", Alignment}, {"control protection", ControlProtection}, {"stack segment", GeneralProtection},
		{"debug", DebugTrap}, {"machine check", MachineCheck},
	} {
		if strings.HasPrefix(what, d.begins) {
			return d.kind
		}
	}
	return UnknownTrap
}

// cause takes the lines that say more of the cause.
func (l *linux) cause(b []byte) bool {
	f := l.f
	if rest, ok := bytes.CutPrefix(b, []byte("#PF: ")); ok {
		f.Arch = arch.X86_64
		switch {
		case bytes.Contains(rest, []byte("write access")):
			f.Access = Write
		case bytes.Contains(rest, []byte("read access")):
			f.Access = Read
		case bytes.Contains(rest, []byte("instruction fetch")):
			f.Access = Exec
		}
		if w := hexAfter(rest, "error_code("); w.Known {
			f.ErrorCode = w
		}
		return true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("KASAN: ")); ok {
		f.detail("kasan", string(rest))
		if bytes.HasPrefix(rest, []byte("null-ptr-deref")) && f.Kind == GeneralProtection {
			f.Subkind = SubNullDereference
		}
		return true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("Kernel Offset: ")); ok {
		offset, _, _ := bytes.Cut(rest, []byte(" "))
		f.detail("kernel offset", string(offset))
		return true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("ESR = ")); ok {
		v, n := hexValue(rest)
		if n > 0 {
			l.syndrome(Value(v))
		}
		return true
	}
	for _, known := range [...]string{"PGD ", "Mem abort info:", "Data abort info:", "EC = ", "SET = ", "EA = ", "FSC = ", "ISV = ", "CM = ",
		"GCS = ", "Modules linked in:", "Hardware name:", "Workqueue:", "pstate:", "note: ", "Tainted: ", "swapper pgtable:", "FIPS "} {
		if bytes.HasPrefix(b, []byte(known)) {
			return true
		}
	}
	return false
}

// syndrome takes ESR_EL1.
func (l *linux) syndrome(esr Word) {
	f := l.f
	f.Arch = arch.ARM64
	if !f.ErrorCode.Known {
		f.ErrorCode = esr
		f.setReg(Register{Name: "ESR_EL1", Value: esr})
	}
}

// task takes "CPU: 1 PID: 1 Comm: NAME Not tainted VERSION #1".
func (l *linux) task(b []byte) bool {
	if !bytes.HasPrefix(b, []byte("CPU: ")) {
		return false
	}
	rest, ok := after(b, " Comm: ")
	if !ok {
		return false
	}
	end := len(rest)
	for _, mark := range [...]string{" Not tainted ", " Tainted: "} {
		if i := bytes.Index(rest, []byte(mark)); i >= 0 && i < end {
			end = i
			l.version(rest[i+len(mark):])
		}
	}
	if l.f.Thread == "" {
		l.f.Thread = string(rest[:min(end, maxName)])
	}
	if pid, ok := after(b, " PID: "); ok {
		if v, n := decimal(pid); n > 0 {
			l.f.detail("pid", fmt.Sprint(v))
		}
	}
	return true
}

// version takes the kernel's version: the first word that begins with a digit.
func (l *linux) version(b []byte) {
	if l.f.Kernel != "" {
		return
	}
	for _, w := range bytes.Fields(b[:min(len(b), maxName)]) {
		if w[0] >= '0' && w[0] <= '9' {
			l.f.Kernel = "Linux " + string(w)
			return
		}
	}
}

// registers takes the register lines of both architectures.
func (l *linux) registers(b []byte) bool {
	f := l.f
	if rest, ok := bytes.CutPrefix(b, []byte("RIP: ")); ok {
		return l.rip(rest)
	}
	if rest, ok := bytes.CutPrefix(b, []byte("Code: ")); ok {
		if !l.user && !bytes.HasPrefix(rest, []byte("Unable")) && !bytes.HasPrefix(rest, []byte("Bad ")) {
			f.detail("code", string(rest))
		}
		return true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("PKRU: ")); ok {
		if v, n := hexValue(rest); n > 0 {
			f.detail("pkru", fmt.Sprintf("%#x", v))
		}
		return true
	}
	if l.arm64(b) {
		return true
	}
	if len(b) < 4 || bytes.IndexByte(b[:min(len(b), 10)], ':') < 0 {
		return false
	}
	into := f
	if l.user {
		into = &Fault{}
	}
	if x86Registers(into, b) == 0 {
		return false
	}
	if !l.user {
		f.Arch = arch.X86_64
	}
	return true
}

// rip takes "0010:SYMBOL+0x…/0x…", "0010:0x0" or, before 4.9,
// "0010:[<address>]  [<address>] SYMBOL+…".
func (l *linux) rip(b []byte) bool {
	digits, n := hexDigits(b)
	if n == 0 || n > 4 || n >= len(b) || b[n] != ':' {
		return false
	}
	// The low bits of CS are the ring. A program's registers are shown too, as
	// it entered the kernel.
	l.user = digits[len(digits)-1]&3 == 3
	if l.user {
		return true
	}
	f := l.f
	if f.Arch == nil {
		f.Arch = arch.X86_64
	}
	if f.Reg("cs").Known {
		return true // the dump is repeated
	}
	f.setReg(cutValue(regName{name: "cs", digits: 4}, digits))
	where := b[n+1:]
	at := CodeAddr{Kind: AtPC}
	if w := hexAfter(where, "[<"); w.Known && bytes.HasPrefix(where, []byte("[<")) {
		f.PC, at.Addr = w, w.V
		_, where, _ = bytes.Cut(where, []byte(">] "))
		where = bytes.TrimLeft(where, " ")
	} else if bytes.HasPrefix(where, []byte("0x")) {
		if v, n := hexValue(where); n > 0 {
			f.PC, at.Addr = Value(v), v
			f.setReg(Register{Name: "rip", Value: f.PC})
		}
		where = nil
	}
	if bytes.HasPrefix(where, []byte("[<")) {
		_, where, _ = bytes.Cut(where, []byte(">] "))
	}
	if name := kernelSymbol(where); name != "" {
		at.Function, at.Offset = name, symbolOffset(where)
		f.detail("at", symbolText(where))
	}
	if len(f.Backtrace) == 0 {
		f.frame(at)
	}
	return true
}

// arm64 takes "pc : SYMBOL+…", "lr : …", "sp : …" and rows "x29: … x28: … x27: …".
func (l *linux) arm64(b []byte) bool {
	f := l.f
	if rest, ok := bytes.CutPrefix(b, []byte("pc : ")); ok {
		f.Arch = arch.ARM64
		if name := kernelSymbol(rest); name != "" && len(f.Backtrace) == 0 {
			f.frame(CodeAddr{Kind: AtPC, Function: name, Offset: symbolOffset(rest)})
			f.detail("at", symbolText(rest))
		} else if w := hexWord(string(rest)); w.Known {
			f.PC = w
		}
		return true
	}
	if bytes.HasPrefix(b, []byte("lr : ")) {
		return true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("sp : ")); ok {
		if digits, n := hexDigits(rest); n > 0 {
			arm64Register(f, "sp", digits)
		}
		return true
	}
	if b[0] != 'x' {
		return false
	}
	found := false
	for len(b) > 3 && b[0] == 'x' {
		num, n := decimal(b[1:])
		rest := bytes.TrimLeft(b[1+n:], " ")
		if n == 0 || num > 30 || len(rest) == 0 || rest[0] != ':' {
			break
		}
		digits, used := hexDigits(bytes.TrimLeft(rest[1:], " "))
		if used == 0 {
			break
		}
		arm64Register(f, fmt.Sprintf("x%d", num), digits)
		found = true
		_, b, _ = bytes.Cut(rest, digits)
		b = bytes.TrimLeft(b, " ")
	}
	return found
}

// section begins a part of the report.
func (l *linux) section(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, []byte("Call Trace:")), bytes.HasPrefix(b, []byte("Call trace:")):
		l.part = linuxTrace
		if l.traced {
			l.part = linuxOther
		}
	case bytes.HasPrefix(b, []byte("Allocated by task ")):
		l.part, l.owner = linuxAllocated, string(bytes.TrimSuffix(b[len("Allocated by "):], []byte(":")))
	case bytes.HasPrefix(b, []byte("Freed by task ")):
		l.part, l.owner = linuxFreed, string(bytes.TrimSuffix(b[len("Freed by "):], []byte(":")))
	case bytes.HasPrefix(b, []byte("</TASK>")):
		l.traced, l.user = true, false
		l.part = linuxOther
	case bytes.HasPrefix(b, []byte("<")) && len(b) < 16 && bytes.HasSuffix(b, []byte(">")):
	case bytes.HasPrefix(b, []byte("---[ end trace")):
		l.user = false
		l.traced = true
		l.part = linuxOther
	default:
		return false
	}
	return true
}

// frame takes a line of a call trace. A question mark is a word that was only
// found on the stack: no frame.
func (l *linux) frame(b []byte) bool {
	if l.part == linuxHead || l.part == linuxOther {
		return false
	}
	at := CodeAddr{Kind: ReturnAddr}
	if w := hexAfter(b, "[<"); w.Known && bytes.HasPrefix(b, []byte("[<")) {
		at.Addr = w.V
		_, b, _ = bytes.Cut(b, []byte(">] "))
	}
	if bytes.HasPrefix(b, []byte("? ")) {
		return kernelSymbol(b[2:]) != ""
	}
	if at.Function = kernelSymbol(b); at.Function == "" {
		return false
	}
	at.Offset = symbolOffset(b)
	f := l.f
	if linuxMachinery(at.Function) && (l.part != linuxTrace || !l.framed()) {
		return true
	}
	switch l.part {
	case linuxAllocated:
		f.detail("allocated", at.Function+" ("+l.owner+")")
		return true
	case linuxFreed:
		f.detail("freed", at.Function+" ("+l.owner+")")
		return true
	}
	if n := len(f.Backtrace); n == 1 && f.Backtrace[0].Kind == AtPC && f.Backtrace[0].Function == at.Function {
		return true // the trace begins with the function the report named
	}
	f.frame(at)
	return true
}

// framed says that the trace has a frame of the fault's own.
func (l *linux) framed() bool {
	n := len(l.f.Backtrace)
	return n > 1 || n == 1 && l.f.Backtrace[0].Kind != AtPC
}

// linuxMachinery says that a function is the report's own, or the allocator's
// bookkeeping: a trap's entry, the printing of the stack, a sanitizer's check.
func linuxMachinery(name string) bool {
	for _, p := range [...]string{"dump_stack", "__dump_stack", "show_stack", "dump_backtrace", "print_report", "print_address_description",
		"kasan_", "__kasan", "____kasan", "__asan_", "check_memory_region", "ubsan_", "__ubsan", "panic", "vpanic", "__warn", "warn_slowpath",
		"report_bug", "handle_bug", "exc_", "asm_exc_", "die", "__die", "oops_", "refcount_warn", "kmalloc", "__kmalloc", "kfree", "slab_", "__slab",
		"kmem_cache", "__kmem_cache", "save_stack", "set_track", "kvmalloc", "krealloc", "page_fault_oops", "no_context", "do_user_addr_fault",
		"__die_body", "show_regs", "do_error_trap", "do_invalid_op", "invalid_op", "nmi_cpu_backtrace", "nmi_trigger", "check_panic_on_warn"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// kernelSymbol returns the name in "name+0xOFF/0xLEN [module]", "" if b is
// something else.
func kernelSymbol(b []byte) string {
	plus := bytes.Index(b[:min(len(b), 2*maxName)], []byte("+0x"))
	if plus < 1 {
		return ""
	}
	for _, c := range b[:plus] {
		if !isWord(c) && c != '.' && c != '$' && c != ':' && c != '<' && c != '>' && c != ',' && c != '~' {
			return ""
		}
	}
	_, n := hexValue(b[plus+1:])
	if n == 0 || plus+1+n < len(b) && b[plus+1+n] != '/' && b[plus+1+n] != ' ' {
		return ""
	}
	return string(b[:plus])
}

// symbolOffset returns the offset in "name+0xOFF/0xLEN".
func symbolOffset(b []byte) Word { return hexAfter(b[:min(len(b), 2*maxName)], "+") }

// symbolText returns "name+0xOFF/0xLEN [module]" as printed, bounded.
func symbolText(b []byte) string { return string(bytes.TrimSpace(b[:min(len(b), 2*maxName)])) }
