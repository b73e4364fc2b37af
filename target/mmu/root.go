package mmu

import "fmt"

// Format is a page table format.
type Format uint8

const (
	// Identity maps each virtual address to the same physical one: a machine
	// whose MMU is off, or one whose table is not known and said to map so.
	Identity Format = iota
	// X86Paging is x86 4- or 5-level paging.
	X86Paging
	// ARM64Stage1 is the EL1&0 stage 1 translation of arm64.
	ARM64Stage1
)

// Root says where the tables of an address space are and how they are read.
// Make one with X86, ARM64 or as Root{} for identity.
type Root struct {
	Format Format
	// levels is the number of table levels, of each half for arm64.
	low, high half
	// granule is log2 of the page size.
	granule uint
	// outBits is the width of a physical address.
	outBits uint
	// lpa2: descriptors of 4 and 16 KiB pages hold 52 bits of address.
	lpa2 bool
}

// half is the translation of one half of the address space.
type half struct {
	table uint64 // physical address of the top table
	bits  uint   // width of the virtual addresses covered, 0 for none
}

// CR4LA57 is the bit of CR4 that says 5-level paging.
const CR4LA57 = 1 << 12

// CR0PG is the bit of CR0 that says paging is on.
const CR0PG = 1 << 31

// X86 returns the root of x86 long mode paging from CR3.
func X86(cr3 uint64, fiveLevel bool) Root {
	bits := uint(48)
	if fiveLevel {
		bits = 57
	}
	table := cr3 & 0x000f_ffff_ffff_f000
	return Root{Format: X86Paging, low: half{table, bits}, high: half{table, bits}, granule: 12, outBits: 52}
}

// The fields of TCR_EL1 used here: width (64-TxSZ), walk disable and granule of
// each half.
const (
	tcrT0SZ = 0
	tcrEPD0 = 1 << 7
	tcrTG0  = 14
	tcrT1SZ = 16
	tcrEPD1 = 1 << 23
	tcrTG1  = 30
	tcrDS   = 1 << 59
)

// ARM64 returns the root of the EL1 translation from TCR_EL1, TTBR0_EL1 and
// TTBR1_EL1. Halves with different granules are an error of the caller's
// registers in every kernel known, and refused. TCR_EL1.DS gives 4 and 16 KiB
// pages addresses of 52 bits (FEAT_LPA2; Arm ARM DDI 0487, D8.3 "Translation table
// descriptor formats").
func ARM64(tcr, ttbr0, ttbr1 uint64) (Root, error) {
	r := Root{Format: ARM64Stage1, outBits: 48}
	var g0, g1 uint
	switch tcr >> tcrTG0 & 3 {
	case 0:
		g0 = 12
	case 1:
		g0 = 16
	case 2:
		g0 = 14
	}
	switch tcr >> tcrTG1 & 3 {
	case 1:
		g1 = 14
	case 2:
		g1 = 12
	case 3:
		g1 = 16
	}
	use0, use1 := tcr&tcrEPD0 == 0, tcr&tcrEPD1 == 0 && g1 != 0
	switch {
	case use0 && g0 == 0:
		return Root{}, fmt.Errorf("TCR_EL1 %#x: TG0 is reserved", tcr)
	case use0 && use1 && g0 != g1:
		return Root{}, fmt.Errorf("TCR_EL1 %#x: the halves have pages of %d and %d bytes, which is not supported", tcr, 1<<g0, 1<<g1)
	case use0:
		r.granule = g0
	case use1:
		r.granule = g1
	default:
		return Root{}, fmt.Errorf("TCR_EL1 %#x: translation is off for both halves", tcr)
	}
	// DS means nothing with 64 KiB pages.
	r.lpa2 = tcr&tcrDS != 0 && r.granule != 16
	wide := r.lpa2 || r.granule == 16
	if wide {
		r.outBits = 52
	}
	for _, h := range []struct {
		use  bool
		size uint64
		ttbr uint64
		half *half
	}{
		{use0, tcr >> tcrT0SZ & 63, ttbr0, &r.low},
		{use1, tcr >> tcrT1SZ & 63, ttbr1, &r.high},
	} {
		if !h.use {
			continue
		}
		// TxSZ from 12 to 39; up to 47 with small translation tables.
		if h.size < 12 || h.size > 47 || h.size < 16 && !wide {
			return Root{}, fmt.Errorf("TCR_EL1 %#x: virtual addresses of %d bits", tcr, 64-h.size)
		}
		base := h.ttbr & 0x0000_ffff_ffff_fffe
		if wide {
			// Bits 5:2 of TTBR are address bits 51:48.
			base = base&^0x3e | h.ttbr>>2&0xf<<48
		}
		*h.half = half{table: base, bits: uint(64 - h.size)}
	}
	return r, nil
}

// Registers returns what X86 was made of; ok is false for another format.
func (r Root) Registers() (cr3 uint64, fiveLevel, ok bool) {
	return r.low.table, r.low.bits == 57, r.Format == X86Paging
}

// ARM64Registers returns values of TCR_EL1, TTBR0_EL1 and TTBR1_EL1 that ARM64
// makes the same root of; ok is false for another format.
func (r Root) ARM64Registers() (tcr, ttbr0, ttbr1 uint64, ok bool) {
	if r.Format != ARM64Stage1 {
		return 0, 0, 0, false
	}
	tg0 := map[uint]uint64{12: 0, 16: 1, 14: 2}[r.granule]
	tg1 := map[uint]uint64{14: 1, 12: 2, 16: 3}[r.granule]
	base := func(h half) uint64 {
		if r.granule == 16 {
			return h.table&0x0000_ffff_ffff_ffc0 | h.table>>48&0xf<<2
		}
		return h.table
	}
	if r.low.bits != 0 {
		tcr |= uint64(64-r.low.bits)<<tcrT0SZ | tg0<<tcrTG0
	} else {
		tcr |= tcrEPD0
	}
	if r.high.bits != 0 {
		tcr |= uint64(64-r.high.bits)<<tcrT1SZ | tg1<<tcrTG1
	} else {
		tcr |= tcrEPD1
	}
	return tcr, base(r.low), base(r.high), true
}
