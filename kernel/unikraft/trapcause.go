package unikraft

import (
	"context"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// x86Traps maps what follows asm_trap_ in the names of the trap stubs
// (plat/kvm/x86/cpu_vectors_x86_64.S) to the vector. The stubs are one per
// vector, so the name is the only place that keeps its number: struct __regs
// does not.
var x86Traps = map[string]uint64{
	"divide_error": 0, "debug": 1, "nmi": 2, "int3": 3, "overflow": 4, "bounds": 5, "invalid_op": 6,
	"no_device": 7, "double_fault": 8, "invalid_tss": 10, "no_segment": 11, "stack_error": 12,
	"gp_fault": 13, "page_fault": 14, "coproc_error": 16, "alignment_check": 17, "machine_check": 18,
	"simd_error": 19, "virt_error": 20, "control_protection": 21, "security_error": 30,
}

// x86ErrorCodes holds the vectors for which the processor pushes an error code,
// as a bit each (Intel SDM vol. 3, table 6-1).
const x86ErrorCodes = 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17 | 1<<21 | 1<<30

// TrapCause tells which trap a handler handles, from its frames, innermost
// first; the last is the entry code the trap began in. On x86_64 trap is the
// vector and code the error code; on arm64, which has no vectors, code is the
// syndrome (ESR_EL1) and trapOK false. Both are unknown for an interrupt.
func (k *Kernel) TrapCause(ctx context.Context, handler []unwind.Frame) (trap, code uint64, trapOK, codeOK bool) {
	if len(handler) == 0 {
		return 0, 0, false, false
	}
	stub := &handler[len(handler)-1]
	name, _, ok := k.symbolAt(stub.LookupPC)
	if !ok {
		return 0, 0, false, false
	}
	if k.arch.arch == arch.ARM64 {
		code, codeOK = k.arm64Syndrome(ctx, name, stub)
		return 0, code, false, codeOK
	}
	if name, ok = strings.CutPrefix(name, "asm_trap_"); !ok {
		return 0, 0, false, false
	}
	if trap, trapOK = x86Traps[name]; trapOK && x86ErrorCodes>>trap&1 != 0 {
		code, codeOK = k.x86ErrorCode(ctx, stub)
	}
	return trap, code, trapOK, codeOK
}

// x86ErrorCode reads orig_rax of the struct __regs that a trap stub has pushed:
// while the handler runs it lies at the stub's stack pointer. Call frame
// information proves that it does: the CFA it gives is either the end of rip's
// slot, as in Unikraft, or the stack pointer to be restored.
func (k *Kernel) x86ErrorCode(ctx context.Context, stub *unwind.Frame) (code uint64, ok bool) {
	l := &layouter{img: k.cfg.Image}
	pushed, rip, rsp := l.required("__regs", "orig_rax"), l.required("__regs", "rip"), l.required("__regs", "rsp")
	b := make([]byte, l.size("__regs"))
	at := stub.Regs.SP()
	if len(l.missing) > 0 || len(b) == 0 || target.ReadFull(ctx, k.cfg.Memory, b, at) != nil {
		return 0, false
	}
	if sp, _ := rsp.get(b); stub.CFA != at+rip.off+rip.size && stub.CFA != sp {
		return 0, false
	}
	return pushed.get(b)
}

// arm64Syndrome reads esr_el1 of the struct __regs at the stack pointer of a
// synchronous exception's vector. Interrupts leave ESR_EL1 as it was.
func (k *Kernel) arm64Syndrome(ctx context.Context, vector string, stub *unwind.Frame) (esr uint64, ok bool) {
	switch strings.TrimSuffix(vector, "_invalid") {
	case "el1_sync", "el1_serror", "el1_error":
	default:
		return 0, false
	}
	l := &layouter{img: k.cfg.Image}
	m := l.optional("__regs", "esr_el1", "esr")
	b := make([]byte, l.size("__regs"))
	if !m.ok || len(b) == 0 || target.ReadFull(ctx, k.cfg.Memory, b, stub.Regs.SP()) != nil {
		return 0, false
	}
	return m.get(b)
}
