package faultmatrix

import (
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
)

// told is what a source must say of a fault.
type told struct {
	kind asserts.Kind
	sub  string
	// reason are patterns the reason, all of it, must contain.
	reason []string
}

// cell is one fault of the guest.
type cell struct {
	variant string // of the image
	fault   string // fault=KIND
	san     string // san=FLAVOUR
	arch    string // the only one, "" for both
	// live is what a session on the crashed guest says, machine what it says
	// without the guest's words, log what the log says with the image; bare is
	// what it says without one where that differs.
	live, machine, log, bare told
	// silent: the later screen on x86 does not say which trap it was, so that
	// without the image nothing does.
	silent bool
	// frames are functions of the backtrace, innermost first; others may lie
	// between. The thread's outer functions are added.
	frames []string
	// file is where the fault is.
	file string
}

func (c cell) name() string {
	name := c.fault
	if c.san != "" {
		name += "-" + c.san
	}
	if c.variant != "" {
		name = c.variant + "/" + name
	}
	return name
}

// append is the guest's command line.
func (c cell) append(generation string) string {
	words := []string{"fault=" + c.fault, "after=3", "crash=" + generation}
	if c.san != "" {
		words = append(words, "san="+c.san)
	}
	return strings.Join(words, " ")
}

// outer are the functions every fault of worker-2 is called by.
var outer = []string{"commit_fault", "fault_check", "serve", "worker_main"}

// same is a fault all sources tell alike.
func same(t told) (live, machine, log, bare told) { return t, t, t, told{} }

func cells() []cell {
	plain := func(fault, arch string, t told, frames ...string) cell {
		c := cell{fault: fault, arch: arch, frames: frames, file: "faults.c"}
		c.live, c.machine, c.log, c.bare = same(t)
		return c
	}
	explicit := told{asserts.ExplicitCrash, "", []string{"UK_CRASH"}}
	list := []cell{
		plain("assert", "", told{asserts.Assertion, "", []string{`assertion failed: r->state == REQ_DONE && "request must be done"`}}, "fault_assert"),
		{
			fault: "crash", frames: []string{"fault_crash"}, file: "faults.c", machine: explicit,
			live: told{asserts.ExplicitCrash, "", []string{"Out of luck in request "}},
			log:  told{asserts.ExplicitCrash, "", []string{"Out of luck in request "}},
		},
		plain("null", "", told{asserts.PageFault, asserts.SubNullDereference, []string{"read of 0x0 through a null pointer"}}, "fault_null"),
		plain("pf", "", told{asserts.PageFault, asserts.SubNotPresent, []string{"read of 0x7fff12340004"}}, "fault_pf"),
		plain("pfw", "", told{asserts.PageFault, asserts.SubWriteToReadOnly, []string{"write to read-only memory at 0x"}}, "fault_pfw"),
		plain("jump", "", told{asserts.PageFault, asserts.SubWildJump, []string{"jump to 0x6b6b6b6b6b68"}}, "fault_jump"),
		plain("gp", "arm64", told{asserts.PageFault, asserts.SubNonCanonical, []string{"read of 0xdead4ead00000000"}}, "fault_gp"),
		plain("ud", "arm64", told{asserts.InvalidOpcode, asserts.SubUndefinedOpcode, []string{"undefined instruction"}}, "fault_ud"),
		plain("brk", "arm64", told{asserts.Breakpoint, asserts.SubCompilerTrap, []string{"__builtin_trap"}}, "fault_brk"),
		plain("brk", "x86_64", told{asserts.Breakpoint, "", []string{"breakpoint instruction (int3)"}}, "fault_brk"),
		plain("overflow", "", told{asserts.StackOverflow, asserts.SubGuardPage, []string{"stack overflow"}}, "recurse"),
		{
			variant: "ssp", fault: "smash", file: "fault_smash.c", frames: []string{"header_parse", "request_headers", "fault_smash"},
		},
		{
			variant: "kasan", fault: "kasan", file: "fault_kasan.c", frames: []string{"reply_fill", "request_reply", "fault_kasan"},
			live:    told{asserts.AddressSanitizer, asserts.SubHeapOverflow, []string{"write of 1 byte at 0x", "buffer-overflow"}},
			log:     told{asserts.AddressSanitizer, asserts.SubHeapOverflow, []string{"write of 1 byte at 0x", "buffer-overflow"}},
			machine: told{asserts.AddressSanitizer, "", []string{"write of 1 byte"}},
		},
		{
			variant: "kasan", fault: "kasan", san: "uaf", file: "fault_kasan.c", frames: []string{"reply_send", "request_reply", "fault_kasan"},
			live:    told{asserts.AddressSanitizer, asserts.SubUseAfterFree, []string{"read of 1 byte at 0x", "use-after-free"}},
			log:     told{asserts.AddressSanitizer, asserts.SubUseAfterFree, []string{"read of 1 byte at 0x", "use-after-free"}},
			machine: told{asserts.AddressSanitizer, "", []string{"read of 1 byte"}},
		},
		{
			// The guest goes on after the reports; what kills it is the last of
			// them, and that is what the machine shows.
			variant: "ubsan", fault: "ubsan", file: "fault_ubsan.c", frames: []string{"request_account", "request_body", "fault_ubsan"},
			live:    told{asserts.UndefinedBehavior, "shift", []string{"shift of 1 by 33 out of bounds for type 'int'"}},
			log:     told{asserts.UndefinedBehavior, "shift", []string{"shift of 1 by 33 out of bounds for type 'int'"}},
			machine: told{asserts.PageFault, asserts.SubNullDereference, []string{"write to 0x0"}},
		},
		{
			variant: "cfi", fault: "cfi", file: "fault_cfi.c", frames: []string{"request_call", "request_dispatch", "fault_cfi"},
			bare: told{asserts.ControlFlowIntegrity, asserts.SubKCFI, []string{"an indirect call went to 0x"}},
		},
	}
	for i := range list {
		c := &list[i]
		switch {
		case c.fault == "brk":
			c.silent = true
		case c.variant == "ssp":
			c.live, c.machine, c.log, c.bare = same(told{asserts.StackSmash, "", []string{"stack canary was overwritten"}})
		case c.variant == "cfi":
			c.live, c.machine, c.log, _ = same(told{asserts.ControlFlowIntegrity, asserts.SubKCFI, []string{"went to handle_stat", "expected 0x"}})
		}
	}
	return append(list, x86Cells()...)
}

// x86Cells are the faults only x86 has, or has other words for.
func x86Cells() []cell {
	list := []cell{
		{
			fault: "gp", file: "faults.c", frames: []string{"fault_gp"}, silent: true,
			live: told{asserts.GeneralProtection, asserts.SubNonCanonical, []string{"0xdead4ead00000000, which is no canonical address"}},
			bare: told{asserts.GeneralProtection, "", nil},
		},
		{
			fault: "ud", file: "faults.c", frames: []string{"fault_ud"}, silent: true,
			live: told{asserts.InvalidOpcode, asserts.SubCompilerTrap, []string{"ud2"}},
			bare: told{asserts.InvalidOpcode, "", nil},
		},
		{
			fault: "div", file: "faults.c", frames: []string{"fault_div"}, silent: true,
			live: told{asserts.DivideError, asserts.SubDivideByZero, []string{"division by zero"}},
			bare: told{asserts.DivideError, "", nil},
		},
		{
			fault: "pkey", file: "pkey_x86_64.c", frames: []string{"vault_store", "request_keys", "fault_pkey"},
			live:    told{asserts.ProtectionKey, asserts.SubWriteDisabled, []string{"write to 0x", "protection key 1, closed to writes (PKRU 0x8)"}},
			machine: told{asserts.ProtectionKey, "", []string{"write to 0x", "protection key 1"}},
		},
		{
			fault: "pkey", san: "read", file: "pkey_x86_64.c", frames: []string{"vault_load", "request_keys", "fault_pkey"},
			live:    told{asserts.ProtectionKey, asserts.SubAccessDisabled, []string{"read of 0x", "protection key 1, closed to all access (PKRU 0x4)"}},
			machine: told{asserts.ProtectionKey, "", []string{"read of 0x", "protection key 1"}},
		},
	}
	for i := range list {
		c := &list[i]
		c.arch, c.log = "x86_64", c.live
		if c.machine.kind == "" {
			c.machine = c.live
		}
	}
	return list
}
