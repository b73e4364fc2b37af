package arch

import "debug/elf"

// DWARF numbers of arm64 registers that code refers to by name. CPSR has no
// DWARF number; ARM64CPSR is ours.
const (
	ARM64X0       = 0
	ARM64X18      = 18
	ARM64X19      = 19
	ARM64FP       = 29
	ARM64LR       = 30
	ARM64SP       = 31
	ARM64PC       = 32
	ARM64TPIDREL1 = 37
	ARM64CPSR     = 63
)

// ARM64 is AArch64.
var ARM64 = &Arch{
	Name:    "arm64",
	GDBName: "aarch64",
	Machine: elf.EM_AARCH64,
	Regs: []Reg{
		{"x0", 0, 64}, {"x1", 1, 64}, {"x2", 2, 64}, {"x3", 3, 64},
		{"x4", 4, 64}, {"x5", 5, 64}, {"x6", 6, 64}, {"x7", 7, 64},
		{"x8", 8, 64}, {"x9", 9, 64}, {"x10", 10, 64}, {"x11", 11, 64},
		{"x12", 12, 64}, {"x13", 13, 64}, {"x14", 14, 64}, {"x15", 15, 64},
		{"x16", 16, 64}, {"x17", 17, 64}, {"x18", 18, 64}, {"x19", 19, 64},
		{"x20", 20, 64}, {"x21", 21, 64}, {"x22", 22, 64}, {"x23", 23, 64},
		{"x24", 24, 64}, {"x25", 25, 64}, {"x26", 26, 64}, {"x27", 27, 64},
		{"x28", 28, 64}, {"x29", 29, 64}, {"x30", 30, 64}, {"sp", 31, 64},
		{"pc", 32, 64}, {"cpsr", ARM64CPSR, 32},
		{"TPIDR_EL1", ARM64TPIDREL1, 64},
	},
	PC: ARM64PC, SP: ARM64SP, FP: ARM64FP, LR: ARM64LR, Flags: ARM64CPSR,
	StatusFlags: arm64Flags,
	CalleeSaved: []int{19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29},
	Breakpoint:  []byte{0x00, 0x00, 0x20, 0xd4}, // brk #0
	// Arm ARM (DDI 0487), D2.10: watchpoint exceptions come before the access.
	WatchesBefore: true,
	MinInstr:      4,
	// Bits 54:48 carry the code for 48-bit addresses, 63:56 too where
	// top-byte-ignore is off. Bit 55 selects the half.
	PACMask: 0xff7f000000000000,
}
