package unikraft

import "github.com/ukdbg/ukdbg/target/arch"

// arm64Context: ukarch_ctx_switch stores x18 and, below it, x19 to x30
// (arch/arm/arm64/ctx.S); the code after the switch has the label
// restore_point. TPIDR_EL1 points to struct lcpu. Words pushed for a new thread
// are 16 bytes apart, because the stack pointer must stay aligned.
func arm64Context() archContext {
	return archContext{
		arch: arch.ARM64,
		size: 112,
		saved: []savedReg{
			{19, 0}, {20, 8}, {21, 16}, {22, 24}, {23, 32}, {24, 40}, {25, 48},
			{26, 56}, {27, 64}, {28, 72}, {arch.ARM64FP, 80}, {arch.ARM64LR, 88},
			{arch.ARM64X18, 96},
		},
		ret:      88,
		resume:   []string{"restore_point", "ukarch_ctx_switch"},
		fresh:    "_ctx_arm_",
		slot:     16,
		firstArg: arch.ARM64X0,
		cpuReg:   arch.ARM64TPIDREL1,
		cpuNames: []string{"TPIDR_EL1", "tpidr_el1"},
	}
}
