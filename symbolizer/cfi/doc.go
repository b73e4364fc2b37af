// Package cfi reads DWARF call frame information: how to find a function's
// caller from its registers and stack.
//
// New reads the headers of .debug_frame and .eh_frame into one table, sorted by
// address. Row runs the instructions of the entry that covers a pc and gives
// the rules that hold there; it allocates nothing.
//
//	t, err := cfi.New([]cfi.Section{{Data: debugFrame}, {Data: ehFrame, Addr: ehAddr, EH: true}}, nil)
//	var row cfi.Row // reuse it for every frame
//	if err := t.Row(pc, &row); err == nil {
//		fmt.Println(row.CFA, row.Rule(row.RA))
//	}
//
// Package unwind applies the rules to registers and memory; Eval runs the
// expressions some rules have. All input is untrusted; New keeps what is sound
// and tells of the rest.
//
// Specification: DWARF 5, sections 6.4 and 7.24; Linux Standard Base 5,
// sections 10.5 and 10.6 (.eh_frame); DWARF for the Arm 64-bit Architecture,
// section 4.4 (signed return addresses).
package cfi
