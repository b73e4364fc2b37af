package unikraft

import (
	"context"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// UnwindOptions returns what an unwinder must know of this kernel: how to get
// through a trap where call frame information does not describe it, and where
// threads begin.
func (k *Kernel) UnwindOptions() unwind.Options {
	opt := unwind.Options{Entries: k.arch.entries()}
	if k.arch.arch == arch.ARM64 {
		if h := newArm64Trap(k); h.size > 0 {
			opt.TrapFrame = h.frame
		}
	}
	return opt
}

// arm64Traps are the vectors that save a struct __regs at their stack pointer
// and call a C function (plat/kvm/arm/exceptions.S).
var arm64Traps = []string{"el1_sync", "el1_irq", "el1_fiq", "el1_serror", "el1_error"}

// arm64Trap reads struct __regs of this image.
type arm64Trap struct {
	k                  *Kernel
	size               uint64
	x, lr, pc, psr, sp field
}

func newArm64Trap(k *Kernel) *arm64Trap {
	l := &layouter{img: k.cfg.Image}
	h := &arm64Trap{
		k: k,
		x: l.required("__regs", "x"), lr: l.required("__regs", "lr"),
		pc: l.required("__regs", "elr_el1"), sp: l.required("__regs", "sp"),
		psr: l.optional("__regs", "spsr_el1", "spsr"),
	}
	if len(l.missing) == 0 && h.x.size >= 30*8 {
		h.size = l.size("__regs")
	}
	return h
}

// frame is an unwind.TrapFrame. The innermost frame is left alone: the vector's
// code may be in the middle of saving.
func (h *arm64Trap) frame(ctx context.Context, mem target.Memory, f *unwind.Frame) (target.Regs, bool) {
	if f.How == unwind.Context {
		return target.Regs{}, false
	}
	name, _, ok := h.k.symbolAt(f.LookupPC)
	if name = strings.TrimSuffix(name, "_invalid"); !ok || !slices.Contains(arm64Traps, name) {
		return target.Regs{}, false
	}
	b := make([]byte, h.size)
	if target.ReadFull(ctx, mem, b, f.Regs.SP()) != nil {
		return target.Regs{}, false
	}
	r := target.NewRegs(arch.ARM64)
	for i := range uint64(min(h.x.size/8, 31)) {
		v, _ := field{off: h.x.off + 8*i, size: 8, ok: true}.get(b)
		r.Set(arch.ARM64X0+int(i), v)
	}
	for num, m := range map[int]field{arch.ARM64LR: h.lr, arch.ARM64PC: h.pc, arch.ARM64SP: h.sp, arch.ARM64CPSR: h.psr} {
		if v, ok := m.get(b); ok {
			r.Set(num, v)
		}
	}
	return r, true
}
