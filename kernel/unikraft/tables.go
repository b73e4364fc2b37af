package unikraft

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// tableSymbols are what boot code calls the top page table: of Unikraft (the
// x86_64 and the arm64 platform library, which counts levels from the pages up, so
// that its l3 is what the Arm ARM calls level 0) and of the guest in guest/.
var tableSymbols = []string{"x86_bpt_pml4", "arm64_bpt_l3_pt0", "boot_pml4", "boot_l1"}

// PageTables are the link-time addresses of what may be the image's top page
// table. Whether one is in use, its mapping of the image's own bytes must show.
func PageTables(img interface {
	SymbolByName(name string) (addr, size uint64, ok bool)
}) []uint64 {
	var out []uint64
	for _, name := range tableSymbols {
		if addr, _, ok := img.SymbolByName(name); ok {
			out = append(out, addr)
		}
	}
	return out
}

// ActiveTable returns the physical address of the top page table the kernel says
// it uses, where it keeps one (plat/common/paging.c: pg_active_pt), ok false
// where it does not or keeps none yet.
func ActiveTable(ctx context.Context, img Image, mem target.Memory, slide uint64) (phys uint64, ok bool) {
	active, _, ok := img.SymbolByName("pg_active_pt")
	base := (&layouter{img: img}).optional("uk_pagetable", "pt_pbase")
	if !ok || base.size != 8 {
		return 0, false
	}
	pt, err := target.ReadUint(ctx, mem, active+slide, 8)
	if err != nil || pt == 0 {
		return 0, false
	}
	phys, err = target.ReadUint(ctx, mem, pt+base.off, 8)
	return phys, err == nil && phys != 0
}
