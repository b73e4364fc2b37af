// Package asserts turns a guest's death into one structured Fault: what kind
// of fault, its reason, thread, registers and backtrace addresses, and which
// later reports only follow from it.
//
// A Fault comes from one of two sources:
//
//	sc := asserts.NewScanner(console) // console text, any length, bounded memory
//	for sc.Scan() {
//		f := sc.Fault()
//		...
//	}
//	err := sc.Err() // I/O only; text that is no report is no error
//
//	f, err := asserts.Decode(ctx, asserts.Machine{Regs: regs, Memory: mem, ...})
//
// Scanner reads what the guest printed; Decode reads the bytes at pc, the trap
// number, the error code and the fault address of a stopped guest or a dump
// when the console says nothing. A fault read from a log that printed its
// registers can be handed to Decode too, with the image's bytes as Memory.
//
// # What is known and what is not
//
// A fact is in a Fault because the source gave it. What was concluded from
// facts is said in Inferred; what a report of this kind would have but this one
// does not is said in NotPrinted, and the field stays unknown, never zero.
//
// # Formats
//
// Each report format is one file (text_*.go) registered in the table in
// formats.go and recognised by its content, never by a version number. Each file
// names the source whose text it reads; docs/faults.md lists them all. To add
// one, write a file with a begin function and list it in formats, with the
// strings (anchors) of which a line must hold one for its report to begin there.
//
// # Logs
//
// Scanner passes text without an anchor unread (anchors.go, lines.go), takes off
// what the transport added (clean.go, prefix.go), gives each source of a log its
// own lane (lane.go) and splits a line at the kernel's envelopes (segment.go).
//
// # Registers
//
// Register-level rules (x86_*.go, arm64_trap.go, page.go, pkey.go) follow
// the Intel SDM volume 3, chapter 6 (page-fault error code), the Arm ARM
// section D17.2 (ESR_EL1) and LLVM's SanitizerHandler list for trap kinds.
//
// # Hostile input
//
// Lines are cut at MaxLine bytes, sources of a log told apart up to a fixed
// number, reports cut at fixed numbers of registers, frames,
// memory rows and consequences. Text of the guest is kept as it was printed
// (without control bytes) and is escaped by Render.
package asserts
