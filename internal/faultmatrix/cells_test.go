package faultmatrix

import "strings"

// cell is one fault of the guest. What kind each source must call it is in the
// table of docs/faults.md; here is how it is committed and what must be said of
// it.
type cell struct {
	variant string // of the image
	fault   string // fault=KIND
	san     string // san=FLAVOUR
	// frames are functions of the backtrace, innermost first; others may lie
	// between. The thread's outer functions are added. file is where the fault is.
	frames []string
	file   string
	// told must be in what every source says that has the image; machine in what
	// is found without the guest's words, traced in that and in a log that prints
	// the stack.
	told, traced, machine []string
	// object is what the address must belong to where the machine is at hand.
	object string
	// shortLog: the log has no stack of its own, or a cut one.
	shortLog bool
}

// key is the cell as the table writes it.
func (c cell) key() string {
	key := "fault=" + c.fault
	if c.san != "" {
		key += " san=" + c.san
	}
	return key
}

func (c cell) name() string {
	name := strings.NewReplacer("fault=", "", "san=", "", " ", "-").Replace(c.key())
	if c.variant != "" {
		name = c.variant + "/" + name
	}
	return name
}

// append is the guest's command line.
func (c cell) append(generation string) string {
	return c.key() + " after=3 crash=" + generation
}

// outer are the functions every fault of worker-2 is called by.
var outer = []string{"commit_fault", "fault_check", "serve", "worker_main"}

func cells() []cell {
	const nullConn = "r->conn is NULL, field fd, offset 0 of struct connection"
	return []cell{
		{fault: "assert", frames: []string{"fault_assert"}, file: "faults.c",
			told: []string{`assertion failed: r->state == REQ_DONE && "request must be done"`}},
		{fault: "crash", frames: []string{"fault_crash"}, file: "faults.c", told: []string{"Out of luck in request "}},
		{fault: "null", frames: []string{"fault_null"}, file: "faults.c", told: []string{nullConn, "read of 0x0"}},
		{fault: "pf", frames: []string{"fault_pf"}, file: "faults.c", told: []string{"0x7fff1234000", "where nothing is mapped"}},
		{fault: "pfw", frames: []string{"fault_pfw"}, file: "faults.c", told: []string{"write to read_only_text", "(.rodata)"}, object: "read_only_text"},
		{fault: "jump", frames: []string{"fault_jump"}, file: "faults.c",
			told: []string{"jump to 0x6b6b6b6b6b68"}, traced: []string{"call of the function pointer handler, which is 0x6b6b6b6b6b68, the byte 0x6b repeated"}},
		{fault: "gp", frames: []string{"fault_gp"}, file: "faults.c", told: []string{"0xdead4ead00000000, which is no address"}},
		{fault: "ud", frames: []string{"fault_ud"}, file: "faults.c"},
		{fault: "div", frames: []string{"fault_div"}, file: "faults.c", told: []string{"division by zero"}, traced: []string{"division by zero: zero is 0"}},
		{fault: "brk", frames: []string{"fault_brk"}, file: "faults.c"},
		{fault: "overflow", frames: []string{"recurse"}, file: "faults.c", shortLog: true,
			told: []string{"stack overflow"}, traced: []string{"recurse calls itself without end"}, machine: []string{"calls of 288 bytes fill the 28.0 KiB of stack of thread worker-2"}},
		{variant: "ssp", fault: "smash", frames: []string{"header_parse", "request_headers", "fault_smash"}, file: "fault_smash.c",
			told: []string{"canary was overwritten"}, machine: []string{"header_parse wrote past the end of char name[16]"}},
		{variant: "kasan", fault: "kasan", frames: []string{"reply_fill", "request_reply", "fault_kasan"}, file: "fault_kasan.c",
			told: []string{"write of 1 byte"}, machine: []string{"right behind the end of a heap object of 64 bytes"}, object: "buddy"},
		{variant: "kasan", fault: "kasan", san: "uaf", frames: []string{"reply_send", "request_reply", "fault_kasan"}, file: "fault_kasan.c",
			told: []string{"read of 1 byte"}, machine: []string{"of freed memory"}, object: "buddy"},
		{variant: "kasan", fault: "kasan", san: "partial", frames: []string{"reply_fill", "request_reply", "fault_kasan"}, file: "fault_kasan.c",
			told: []string{"write of 1 byte"}, machine: []string{"right behind the end of a heap object of 61 bytes"}, object: "buddy"},
		// The guest goes on after the reports; what kills it is the last of them.
		{variant: "ubsan", fault: "ubsan", frames: []string{"request_account", "request_body", "fault_ubsan"}, file: "fault_ubsan.c", shortLog: true,
			machine: []string{"write through a null pointer: counter is NULL"}},
		{variant: "cfi", fault: "ubsan", frames: []string{"body_size"}, file: "fault_ubsan.c", told: []string{"add-overflow"}},
		{variant: "cfi", fault: "cfi", frames: []string{"request_call", "request_dispatch", "fault_cfi"}, file: "fault_cfi.c",
			told: []string{"call through handlers[verb] of handle_stat, which is int (unsigned int, unsigned int), where long (struct request *) is expected",
				"(0x6da45e1, expected 0xaa7a2f67)"}},
		{variant: "cfi", fault: "cfi", san: "icall", frames: []string{"command_run", "fault_icall"}, file: "fault_icall.c",
			told: []string{"call in command_run through runners[which] of run_status, which is long (long, long)", "legal are run_start, run_stop"}},
		{fault: "pkey", frames: []string{"vault_store", "request_keys", "fault_pkey"}, file: "pkey_x86_64.c",
			told: []string{"write to vault in section .data, whose protection key 1 is closed"}, object: "vault"},
		{fault: "pkey", san: "read", frames: []string{"vault_load", "request_keys", "fault_pkey"}, file: "pkey_x86_64.c",
			told: []string{"read of vault in section .data, whose protection key 1 is closed to all access"}, object: "vault"},
	}
}
