package arch

import "debug/elf"

// DWARF numbers of x86_64 registers that code refers to by name.
const (
	X86RAX    = 0
	X86RDX    = 1
	X86RCX    = 2
	X86RBX    = 3
	X86RSI    = 4
	X86RDI    = 5
	X86RBP    = 6
	X86RSP    = 7
	X86R8     = 8
	X86R12    = 12
	X86R13    = 13
	X86R14    = 14
	X86R15    = 15
	X86RIP    = 16
	X86RFLAGS = 49
	X86CS     = 51
	X86SS     = 52
	X86FSBase = 58
	X86GSBase = 59
)

// X86_64 is 64-bit x86 (AMD64, Intel 64).
var X86_64 = &Arch{
	Name:    "x86_64",
	GDBName: "i386:x86-64",
	Machine: elf.EM_X86_64,
	Regs: []Reg{
		{"rax", 0, 64}, {"rbx", 3, 64}, {"rcx", 2, 64}, {"rdx", 1, 64},
		{"rsi", 4, 64}, {"rdi", 5, 64}, {"rbp", 6, 64}, {"rsp", 7, 64},
		{"r8", 8, 64}, {"r9", 9, 64}, {"r10", 10, 64}, {"r11", 11, 64},
		{"r12", 12, 64}, {"r13", 13, 64}, {"r14", 14, 64}, {"r15", 15, 64},
		{"rip", 16, 64}, {"eflags", 49, 32},
		{"cs", 51, 32}, {"ss", 52, 32}, {"ds", 53, 32}, {"es", 50, 32},
		{"fs", 54, 32}, {"gs", 55, 32},
		{"fs_base", 58, 64}, {"gs_base", 59, 64},
	},
	PC: X86RIP, SP: X86RSP, FP: X86RBP, LR: None, Flags: X86RFLAGS,
	StatusFlags:       x86Flags,
	CalleeSaved:       []int{X86RBX, X86RBP, X86R12, X86R13, X86R14, X86R15},
	Breakpoint:        []byte{0xcc},
	BreakpointAdvance: 1,
	MinInstr:          1,
}
