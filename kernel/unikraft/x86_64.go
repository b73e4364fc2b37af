package unikraft

import "github.com/ukdbg/ukdbg/target/arch"

// x86Context: ukarch_ctx_switch pushes rbp, rbx, r12 to r15 below its return
// address (arch/x86/x86_64/ctx.S). GS base points to struct lcpu.
func x86Context() archContext {
	return archContext{
		arch: arch.X86_64,
		size: 56,
		saved: []savedReg{
			{arch.X86R15, 0}, {arch.X86R14, 8}, {arch.X86R13, 16}, {arch.X86R12, 24},
			{arch.X86RBX, 32}, {arch.X86RBP, 40},
		},
		ret:      48,
		resume:   []string{"ukarch_ctx_switch"},
		fresh:    "_ctx_x86_",
		slot:     8,
		firstArg: arch.X86RDI,
		cpuReg:   arch.X86GSBase,
		cpuNames: []string{"gs_base"},
	}
}
