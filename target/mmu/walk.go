package mmu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Page is one translation: the page a virtual address lies in.
type Page struct {
	// Virt and Phys are the first address of the page, Size its size in bytes,
	// a power of two.
	Virt, Phys, Size uint64
	// Writable, User and Executable are what all levels together allow. On
	// arm64 Executable is for EL1.
	Writable, User, Executable bool
	// Key is the protection key of an x86 page, 0 to 15. Whether keys are in
	// force is in CR4.
	Key uint8
	// Entry is the last level's entry as it stands in memory.
	Entry uint64
}

// Contains reports whether virtual address va lies in the page.
func (p Page) Contains(va uint64) bool { return va-p.Virt < p.Size }

// NotMappedError says at which level of the tables a translation ended.
type NotMappedError struct {
	Addr uint64
	// Level is the architecture's name of the level ("PML4", "level 1").
	Level string
	// Entry is what stands there.
	Entry uint64
	// Why says what is wrong with it.
	Why string
}

func (e *NotMappedError) Error() string {
	if e.Level == "" {
		return fmt.Sprintf("%#x is not mapped: %s", e.Addr, e.Why)
	}
	return fmt.Sprintf("%#x is not mapped: %s entry %#x is %s", e.Addr, e.Level, e.Entry, e.Why)
}

// Translate walks the tables for one virtual address. The error is a
// *NotMappedError, or that of reading a table.
func (r Root) Translate(ctx context.Context, phys target.Memory, va uint64) (Page, error) {
	switch r.Format {
	case Identity:
		const page = 4096
		base := va &^ (page - 1)
		return Page{Virt: base, Phys: base, Size: page, Writable: true, User: true, Executable: true}, nil
	case X86Paging:
		return r.walkX86(ctx, phys, va)
	case ARM64Stage1:
		return r.walkARM64(ctx, phys, va)
	}
	return Page{}, fmt.Errorf("page table format %d is not known", r.Format)
}

func entry(ctx context.Context, phys target.Memory, table, index uint64, level string) (uint64, error) {
	var b [8]byte
	addr := table + 8*index
	if err := target.ReadFull(ctx, phys, b[:], addr); err != nil {
		var f *target.FaultError
		if errors.As(err, &f) {
			return 0, fmt.Errorf("the %s table at physical %#x cannot be read: %w", level, table, err)
		}
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// x86 entry bits.
const (
	x86Present  = 1 << 0
	x86Writable = 1 << 1
	x86User     = 1 << 2
	x86Large    = 1 << 7
	x86NX       = 1 << 63
	x86Addr     = 0x000f_ffff_ffff_f000
)

var x86Levels = [...]string{"", "PT", "PD", "PDPT", "PML4", "PML5"}

func (r Root) walkX86(ctx context.Context, phys target.Memory, va uint64) (Page, error) {
	// The bits above the translated ones must repeat the highest.
	bits := r.low.bits
	if s := int64(va<<(64-bits)) >> (64 - bits); uint64(s) != va {
		return Page{}, &NotMappedError{Addr: va, Why: fmt.Sprintf("not a canonical address of %d bits", bits)}
	}
	p := Page{Writable: true, User: true, Executable: true}
	table := r.low.table
	for level := (bits - 12) / 9; level > 0; level-- {
		shift := 12 + 9*(level-1)
		e, err := entry(ctx, phys, table, va>>shift&0x1ff, x86Levels[level])
		if err != nil {
			return Page{}, err
		}
		fail := func(why string) (Page, error) {
			return Page{}, &NotMappedError{Addr: va, Level: x86Levels[level], Entry: e, Why: why}
		}
		if e&x86Present == 0 {
			return fail("not present")
		}
		p.Writable = p.Writable && e&x86Writable != 0
		p.User = p.User && e&x86User != 0
		p.Executable = p.Executable && e&x86NX == 0
		large := e&x86Large != 0
		if level > 3 && large {
			return fail("malformed (a page of this level does not exist)")
		}
		if level == 1 || large {
			p.Size = 1 << shift
			p.Phys = e & x86Addr &^ (p.Size - 1)
			p.Virt = va &^ (p.Size - 1)
			p.Key = uint8(e >> 59 & 15)
			p.Entry = e
			return p, nil
		}
		table = e & x86Addr
	}
	return Page{}, fmt.Errorf("page walk of %#x ended without a page", va)
}

// arm64 descriptor bits.
const (
	armValid     = 1 << 0
	armTable     = 1 << 1 // at the last level: a page
	armUser      = 1 << 6 // AP[1]
	armReadOnly  = 1 << 7 // AP[2]
	armPXN       = 1 << 53
	armUserTable = 1 << 61 // APTable[0]: no access from EL0
	armROTable   = 1 << 62 // APTable[1]
	armPXNTable  = 1 << 59
)

func (r Root) walkARM64(ctx context.Context, phys target.Memory, va uint64) (Page, error) {
	h := r.low
	if va>>63 != 0 {
		h = r.high
	}
	if h.bits == 0 {
		return Page{}, &NotMappedError{Addr: va, Why: "translation is off for this half of the address space"}
	}
	if top := va >> h.bits; top != 0 && top != ^uint64(0)>>h.bits {
		return Page{}, &NotMappedError{Addr: va, Why: fmt.Sprintf("beyond the %d bits of this half", h.bits)}
	}
	stride := r.granule - 3 // bits of address each level resolves
	// Level 3 is the last. The first is as high as the width needs.
	depth := (h.bits - r.granule + stride - 1) / stride
	p := Page{Writable: true, User: true, Executable: true}
	table := h.table
	for n := depth; n > 0; n-- {
		shift := r.granule + stride*(n-1)
		level := fmt.Sprintf("level %d", 4-n)
		width := min(stride, h.bits-shift)
		if n == depth {
			// The top table is aligned to its size.
			table &^= 1<<(width+3) - 1
		}
		e, err := entry(ctx, phys, table, va>>shift&(1<<width-1), level)
		if err != nil {
			return Page{}, err
		}
		fail := func(why string) (Page, error) {
			return Page{}, &NotMappedError{Addr: va, Level: level, Entry: e, Why: why}
		}
		if e&armValid == 0 {
			return fail("not valid")
		}
		leaf := n == 1
		if leaf && e&armTable == 0 {
			return fail("reserved")
		}
		if !leaf && e&armTable == 0 {
			// A block: 1 GiB or 2 MiB of 4 KiB pages, 32 MiB of 16 KiB, 512 MiB
			// (and with 52 bits 4 TiB) of 64 KiB; by LPA2 also 512 GiB of 4 KiB
			// pages and 64 GiB of 16 KiB.
			if !(n == 2 || n == 3 && (r.granule != 14 || r.lpa2) || n == 4 && r.granule == 12 && r.lpa2) {
				return fail("malformed (a block of this level does not exist)")
			}
			leaf = true
		}
		if !leaf {
			p.User = p.User && e&armUserTable == 0
			p.Writable = p.Writable && e&armROTable == 0
			p.Executable = p.Executable && e&armPXNTable == 0
			table = r.outAddr(e)
			continue
		}
		p.User = p.User && e&armUser != 0
		p.Writable = p.Writable && e&armReadOnly == 0
		p.Executable = p.Executable && e&armPXN == 0
		p.Size = 1 << shift
		p.Phys = r.outAddr(e) &^ (p.Size - 1)
		p.Virt = va &^ (p.Size - 1)
		p.Entry = e
		return p, nil
	}
	return Page{}, fmt.Errorf("page walk of %#x ended without a page", va)
}

// outAddr returns the physical address in a descriptor.
func (r Root) outAddr(e uint64) uint64 {
	addr := e & 0x0000_ffff_ffff_ffff &^ (1<<r.granule - 1)
	switch {
	case r.granule == 16:
		// Bits 15:12 are address bits 51:48.
		addr |= e >> 12 & 0xf << 48
	case r.lpa2:
		// Bits 49:48 are where they belong, bits 9:8 are address bits 51:50.
		addr |= e&(3<<48) | e>>8&3<<50
	}
	return addr
}
