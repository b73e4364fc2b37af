package asserts

// verdict is an assembler's word on a segment.
type verdict int

const (
	// foreign: not part of this report (text of another thread between).
	foreign verdict = iota
	// taken: part of the report.
	taken
	// last: the report's last segment.
	last
	// over: not part of the report, which is finished.
	over
)

// assembler collects the segments of one report into a Fault. Slices of a
// segment are valid during the call only.
type assembler interface {
	add(s *segment) verdict
	fault() *Fault
}

// format is one kind of report text, recognised by content.
type format struct {
	name string
	// anchors are strings of which a line must hold one for a report of this
	// format to begin in it; each has at least anchorLen bytes.
	anchors []string
	// begin returns an assembler if s begins a report of this format, else nil.
	// open is the report right before, nil if there is none: a report that
	// goes on with the same fault returns an assembler of the same *Fault.
	begin func(s *segment, open assembler) assembler
}

// formats is the table of all formats, the more specific first. The last takes
// text without a marker of its own.
var formats = [...]format{
	{"unikraft-assert", []string{"Assertion failure: ", "Condition warning: "}, beginAssert},
	{"unikraft-ubsan", []string{"Undefined behavior at "}, beginUBSan},
	{"unikraft-ssp", []string{"Stack smashing detected"}, beginSSP},
	{"ubsan-runtime", []string{": runtime error: "}, beginRuntimeError},
	{"asan", []string{"ERROR: AddressSanitizer: "}, beginASan},
	{"kasan-netbsd", []string{"ASan: Unauthorized Access"}, beginNetBSDASan},
	{"kasan-mimiker", []string{"==KernelAddressSanitizer=="}, beginKASAN},
	{"mini-os", []string{"FATAL:  Unhandled Trap", "Page fault at linear", "GPF rip: "}, beginMiniOS},
	{"flexos", []string{"ERROR IN GATE got ", "Page fault at linear", "GPF rip: ", "PF_PK: "}, beginFlexOS},
	{"linux-cfi", []string{"CFI failure "}, beginCFI},
	{"linux-kasan", []string{"BUG: KASAN: "}, beginLinuxKASAN},
	{"linux-ubsan", []string{"UBSAN: "}, beginLinuxUBSan},
	{"linux-panic", []string{"Kernel panic - not syncing"}, beginLinuxPanic},
	{"linux-oops", []string{"BUG: unable to handle", "BUG: kernel NULL", "Unable to handle kernel", "BUG: stack guard", "BUG: TASK stack", "BUG: IRQ stack",
		"general protection fault", "invalid opcode: ", "divide error: ", "double fault: ", "int3: 0", "alignment check: ", "control protection", "stack segment: ",
		"Internal error: "}, beginLinuxOops},
	{"linux-bug", []string{"kernel BUG at ", "WARNING: ", "refcount_t: ", "Missing ENDBR: ", "BUG: scheduling", "BUG: sleeping", "BUG: Bad ", "BUG: spinlock"}, beginLinuxBug},
	{"solo5", []string{"Solo5: trap: ", "Solo5: Trap: ", "Solo5: ABORT: "}, beginSolo5},
	{"ocaml", []string{"Fatal error: exception "}, beginOCaml},
	{"hermitux", []string{"GUEST PAGE FAULT @", "GUEST EXCEPTION ", " Exception ("}, beginHermiTux},
	{"hermit", []string{"Page fault (#PF)!", ") Exception", "Probable Stack Overflow"}, beginHermit},
	{"rust-panic", []string{"panicked at "}, beginRustPanic},
	{"libc", []string{"*** stack smashing", "Assertion failed: ", ": Assertion `", "free(): ", "malloc(): ", "double free or corruption", "corrupted size vs.",
		"malloc_consolidate(): ", "*** buffer overflow"}, beginLibc},
	{"osv", []string{"page fault outside application", "general protection fault", "trying to execute null", "__stack_chk_fail(): ",
		"unexpected synchronous exception", "DUMMY_HANDLER for ", "Aborted", "[backtrace]"}, beginOSv},
	{"nanos", []string{"*** signal ", "no fault handler", "exception during interrupt", " already full", "stack check failed", "lastvector: ", "interrupt: 0000",
		"assertion ", "*** Thread context"}, beginNanos},
	{"xen", []string{"Pagetable walk from ", "domain_crash", " crashed on cpu#", "----[ Xen-", "Hit #CP[", "Panic on CPU ", "Xen BUG at ", "Assertion '"}, beginXen},
	{"rumprun", []string{"FATAL TRAP: ", "PANIC: ", "assert \"", "panic: "}, beginRumprun},
	{"unikraft-ukvmem", []string{"Guard page 0x", "Cannot handle ", "Unhandled page fault", "page fault handler returned"}, beginUKVMem},
	{"unikraft-screen", []string{"Unikraft Crash - ", "Unikraft crash - ", "Unikraft Panic - "}, beginScreen},
	{"unikraft-trap-arm64", []string{" trap caught", "async tag check"}, beginTrapARM64},
	{"unikraft-trap-x86", []string{"Unhandled Trap ", " CS: 00"}, beginTrapX86},
	{"unikraft-crit", []string{"CRIT: ", "CRIT:\x1b"}, beginCrit},
}

// bootMarks are not of reports, but lines the scanner must not pass unread: a
// boot, the kernel's version, and a line whose rest is in the next one (CRI).
var bootMarks = [...]string{" stdout P ", " stderr P ", "Powered by", "Linux version ", "OSv v0.", "OSv v1.", "Solo5: Bindings version ", "Xen version "}

// allAnchors returns the anchors of every format, each with the format's bit,
// and the marks of a boot.
func allAnchors() []anchor {
	var list []anchor
	for i := range formats {
		for _, text := range formats[i].anchors {
			list = append(list, anchor{text, 1 << i})
			if escaped := inJSON(text); escaped != text {
				list = append(list, anchor{escaped, 1 << i})
			}
		}
	}
	for _, text := range bootMarks {
		list = append(list, anchor{text, 1 << 63})
	}
	return list
}

// single is the assembler of a report of one segment.
type single struct{ f *Fault }

func (a *single) add(*segment) verdict { return over }
func (a *single) fault() *Fault        { return a.f }

// newFault starts a fault with what the envelope tells.
func newFault(kind Kind, format string, s *segment) *Fault {
	f := &Fault{Kind: kind, GuestTime: s.time}
	if len(s.thread) > 0 && string(s.thread) != "<n/a" {
		f.Thread = string(s.thread)
	}
	f.Source = Source{Format: format, FirstLine: s.number, LastLine: s.number, ByteOffset: s.offset}
	return f
}

// placed adds what an envelope tells of the place of a report that is printed
// by the failing code itself.
func (f *Fault) placed(s *segment) {
	if len(s.file) > 0 {
		f.Location = Location{File: string(s.file), Line: s.fline}
	}
	if len(s.lib) > 0 {
		f.detail("library", string(s.lib))
	}
	if s.caller != 0 && len(f.Backtrace) == 0 {
		f.frame(CodeAddr{Addr: s.caller, Kind: ReturnAddr, How: "return address of the print call"})
	}
}

// soon is the number of microseconds within which two reports of one fault come.
const soon = 1_000_000

// sameMoment says that s was printed with the report of f, as far as clocks tell.
func sameMoment(f *Fault, s *segment) bool {
	return !f.GuestTime.Known || !s.time.Known || s.time.V-f.GuestTime.V <= soon
}

// trapLike says that open is a report a register dump may belong to: it tells
// of a fault but has no registers yet.
func trapLike(open assembler) *Fault {
	if open == nil {
		return nil
	}
	f := open.fault()
	if len(f.Registers) > 0 {
		return nil
	}
	switch f.Kind {
	case UndefinedBehavior, Warning:
		return nil
	}
	return f
}
