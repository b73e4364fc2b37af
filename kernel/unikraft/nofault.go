package unikraft

import (
	"context"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target/arch"
)

// interruptEntries begin the names of the entry code of interrupts
// (plat/kvm/x86/cpu_vectors_x86_64.S, plat/kvm/arm/exceptions.S).
var interruptEntries = []string{"asm_irq_", "cpu_irq_", "irq_common", "el1_irq", "el1_fiq"}

// NoFault reports whether a handler, whose frames end with the entry code as those
// of TrapCause do, surely handles what is no fault of the interrupted code: an
// interrupt, or a system call of a program on arm64 (svc).
func (k *Kernel) NoFault(ctx context.Context, handler []unwind.Frame) bool {
	if len(handler) == 0 {
		return false
	}
	name, _, ok := k.symbolAt(handler[len(handler)-1].LookupPC)
	if !ok || strings.HasSuffix(name, "_invalid") {
		return false
	}
	for _, prefix := range interruptEntries {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	const svc = 0x15 // ESR_EL1.EC of an svc in AArch64 state
	_, esr, _, coded := k.TrapCause(ctx, handler)
	return k.arch.arch == arch.ARM64 && coded && esr>>26&0x3f == svc
}
