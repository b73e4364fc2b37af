package unikraft

// tableSymbols are what boot code calls the top page table: of Unikraft (the
// x86_64 and the arm64 platform library) and of the guest in guest/.
var tableSymbols = []string{"x86_bpt_pml4", "arm64_bpt_l0_pt0", "boot_pml4", "boot_l1"}

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
