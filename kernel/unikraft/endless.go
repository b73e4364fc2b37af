package unikraft

import "strings"

// endless are functions of the kernel and its libraries that do not return
// (lib/ukdebug, lib/uksp, plat/*/shutdown.c, lib-musl).
var endless = []string{"ukplat_terminate", "ukplat_crash", "_uk_crash", "__stack_chk_fail", "abort"}

// Endless are the names of functions that never return: who called one has not
// gone on since.
func Endless() []string { return endless }

// IsTrapEntry reports whether a function is the entry code of a trap or an
// interrupt, which has a struct __regs at its stack pointer when it calls the
// handler (plat/kvm/x86/cpu_vectors_x86_64.S, plat/kvm/arm/exceptions.S).
func IsTrapEntry(name string) bool {
	for _, prefix := range []string{"asm_trap_", "asm_irq_", "cpu_irq_", "trap_common", "irq_common", "el1_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
