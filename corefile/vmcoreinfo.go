package corefile

import (
	"bytes"
	"debug/elf"
	"strconv"

	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// vmcoreinfo is the text of a VMCOREINFO note: what a Linux kernel tells of
// itself, a line NAME=VALUE each (Documentation/admin-guide/kdump/vmcoreinfo.rst).
type vmcoreinfo []byte

// value returns a line's value.
func (v vmcoreinfo) value(name string) (string, bool) {
	for line := range bytes.Lines(v) {
		if key, value, ok := bytes.Cut(bytes.TrimRight(line, "\n\x00"), []byte("=")); ok && string(key) == name {
			return string(value), true
		}
	}
	return "", false
}

// number returns a line's value as a number of the given base, a negative one in
// two's complement.
func (v vmcoreinfo) number(name string, base int) (uint64, bool) {
	text, ok := v.value(name)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(text, base, 64); err == nil {
		return uint64(n), true
	}
	n, err := strconv.ParseUint(text, base, 64)
	return n, err == nil
}

// root returns the kernel's own page tables.
func (v vmcoreinfo) root(a *arch.Arch) (mmu.Root, bool) {
	if a.Machine == elf.EM_AARCH64 {
		return v.rootARM64()
	}
	table, ok := v.number("SYMBOL(init_top_pgt)", 16)
	if !ok {
		table, ok = v.number("SYMBOL(swapper_pg_dir)", 16)
	}
	base, known := v.number("NUMBER(phys_base)", 10)
	if !ok || !known {
		return mmu.Root{}, false
	}
	// __START_KERNEL_map: where the kernel's text is mapped from phys_base on.
	const kernelMap = 0xffff_ffff_8000_0000
	five, _ := v.number("NUMBER(pgtable_l5_enabled)", 10)
	return mmu.X86(table-kernelMap+base, five != 0), true
}

func (v vmcoreinfo) rootARM64() (mmu.Root, bool) {
	table, ok := v.number("SYMBOL(swapper_pg_dir)", 16)
	offset, known := v.number("kimage_voffset", 0)
	if !known {
		offset, known = v.number("NUMBER(kimage_voffset)", 0)
	}
	width, sized := v.number("NUMBER(TCR_EL1_T1SZ)", 0)
	if !sized {
		bits, ok := v.number("NUMBER(VA_BITS)", 10)
		width, sized = 64-bits, ok && bits <= 64
	}
	page, _ := v.number("PAGESIZE", 10)
	granule, sane := map[uint64]uint64{4096: 2, 16384: 1, 65536: 3}[page] // TG1
	if !ok || !known || !sized || !sane || width > 63 {
		return mmu.Root{}, false
	}
	const (
		noLowHalf = 1 << 7 // EPD0
		t1sz      = 16
		tg1       = 30
	)
	root, err := mmu.ARM64(noLowHalf|width<<t1sz|granule<<tg1, 0, table-offset)
	return root, err == nil
}
