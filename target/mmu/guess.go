package mmu

import "github.com/ukdbg/ukdbg/target/arch"

// RootsAt are the ways a top table at a physical address may be read, where
// nothing but its place is known. Of arm64 these are the widths of Linux and
// Unikraft for each page size. That one is right, its mapping of bytes whose
// place is known must show: a table read the wrong way does not map them there.
func RootsAt(a *arch.Arch, table uint64) []Root {
	if a == arch.X86_64 {
		return []Root{X86(table, false), X86(table, true)}
	}
	var out []Root
	for _, granule := range []uint64{0, 2, 1} { // TG0: 4 KiB, 16 KiB, 64 KiB
		for _, bits := range []uint64{48, 39, 36, 42, 47, 40} {
			tcr := granule<<tcrTG0 | (64-bits)<<tcrT0SZ | tcrEPD1
			if root, err := ARM64(tcr, table, 0); err == nil {
				out = append(out, root)
			}
			// The high half, with TG1's own numbers for the sizes.
			tg1 := []uint64{2, 3, 1}[granule]
			tcr = tg1<<tcrTG1 | (64-bits)<<tcrT1SZ | tcrEPD0
			if root, err := ARM64(tcr, 0, table); err == nil {
				out = append(out, root)
			}
		}
	}
	return out
}
