package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// rooter is a machine that knows its address space without its registers.
type rooter interface {
	// Root returns the tables in use; ok is false where they are not known.
	Root(ctx context.Context) (root mmu.Root, ok bool)
}

// errNoPhysical says that the way to the guest shows no physical memory.
var errNoPhysical = errors.New("this way to the guest shows no physical memory")

// addressSpace returns the page tables in use and the memory they lie in. An
// identity root says that virtual addresses are physical ones.
func (s *Session) addressSpace(ctx context.Context) (mmu.Root, target.Memory, error) {
	var phys target.Memory
	for _, m := range []any{s.behind, s.machine.machine, s.observer} {
		if p, ok := m.(target.PhysicalMemory); ok && phys == nil {
			phys = p.Physical()
		}
	}
	if phys == nil {
		return mmu.Root{}, nil, errNoPhysical
	}
	for _, m := range []any{s.machine.machine, s.observer} {
		if r, ok := m.(rooter); ok {
			if root, ok := r.Root(ctx); ok {
				return root, phys, nil
			}
		}
	}
	sr, ok := s.machine.machine.(target.SystemRegisters)
	if !ok {
		return mmu.Root{}, phys, fmt.Errorf("page tables: no system registers: %w", target.ErrUnsupported)
	}
	raw, err := sr.ReadSystemRegisters(ctx, s.stopCPU)
	if err != nil {
		return mmu.Root{}, phys, fmt.Errorf("page tables: %w", err)
	}
	root, err := rootOf(s.arch, raw)
	return root, phys, err
}

// rootOf makes the root of what system registers say, by gdb's names.
func rootOf(a *arch.Arch, raw map[string][]byte) (mmu.Root, error) {
	get := func(name string) (v uint64, ok bool) {
		for n, b := range raw {
			if strings.EqualFold(n, name) && len(b) > 0 && len(b) <= 8 {
				for i := len(b) - 1; i >= 0; i-- {
					v = v<<8 | uint64(b[i])
				}
				return v, true
			}
		}
		return 0, false
	}
	if a == arch.X86_64 {
		cr0, ok0 := get("cr0")
		cr3, ok3 := get("cr3")
		cr4, ok4 := get("cr4")
		switch {
		case !ok0 || !ok3 || !ok4:
			return mmu.Root{}, errors.New("page tables: CR0, CR3 and CR4 are not told")
		case cr0&mmu.CR0PG == 0:
			return mmu.Root{}, nil
		}
		return mmu.X86(cr3, cr4&mmu.CR4LA57 != 0), nil
	}
	sctlr, okS := get("SCTLR_EL1")
	if !okS {
		sctlr, okS = get("SCTLR") // QEMU's name
	}
	tcr, okT := get("TCR_EL1")
	ttbr0, ok0 := get("TTBR0_EL1")
	ttbr1, ok1 := get("TTBR1_EL1")
	switch {
	case !okS || !okT || !ok0 || !ok1:
		return mmu.Root{}, errors.New("page tables: SCTLR_EL1, TCR_EL1 and TTBR0/1_EL1 are not told")
	case sctlr&1 == 0:
		return mmu.Root{}, nil
	}
	return mmu.ARM64(tcr, ttbr0, ttbr1)
}
