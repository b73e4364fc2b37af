package ukdbg

import (
	"context"
	"strconv"

	"github.com/ukdbg/ukdbg/imageindex"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/vmm"
)

// FindImage tells which image of an index the guest of a VMM's process runs, by the
// file it was booted from and by its memory, without stopping it. Where the memory
// cannot be read before the image is known, as without a monitor, Match.Proved is
// false: Open proves it. The error is that of Index.Find; it wraps
// imageindex.ErrUnknown if no image is the guest's. Of opt, Timeout and Guard.State are
// used.
func FindImage(ctx context.Context, ix *imageindex.Index, p *vmm.Process, opt Options) (imageindex.Match, error) {
	g := imageindex.Guest{Kernel: p.Kernel}
	o, err := openObserver(ctx, target.Spec{Scheme: target.PID, Addr: strconv.Itoa(p.PID)}, nil, opt)
	if err == nil {
		defer o.Close()
		g.Memory, g.Hints = o, o.Hints()
		if o.Arch() == arch.ARM64 {
			// Which page tables are in use only the image tells. Unikernels map their
			// own code one to one.
			g.Memory = o.Physical()
		}
		cpus, _ := o.CPUs(ctx) // without a monitor none is known
		for _, cpu := range cpus {
			if regs, err := o.ReadRegisters(ctx, cpu); err == nil {
				g.Hints = append(g.Hints, regs.PC())
			}
		}
	}
	return ix.Find(ctx, g)
}
