package mmu_test

import (
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/target/mmu"
)

// What a survey says is mapped is what a walk of each address finds, and it is
// all that was put there.
func TestSurvey(t *testing.T) {
	type page struct {
		va, pa uint64
		level  int
		size   uint64
	}
	for _, tt := range []struct {
		name   string
		tb     *tables
		root   func() (mmu.Root, error)
		attrs  func(leaf bool) uint64
		pages  []page
		tables int
	}{
		{
			name: "x86", tb: newTables(false, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9}),
			root: func() (mmu.Root, error) { return mmu.X86(topTable, false), nil },
			attrs: func(leaf bool) uint64 {
				if leaf {
					return 3
				}
				return 0x83
			},
			pages: []page{
				{0x20_0000, 0x20_0000, 2, 2 * mib}, {0x40_0000, 0x40_0000, 2, 2 * mib}, // joined
				{0x10_0040_1000, 0x9000, 3, 4 * kib},
				{0xffff_ffff_c000_0000, 3 * gib, 1, gib},
			},
			tables: 6, // PML4; PDPT, PD, PD and PT of the low half; PDPT of the high
		},
		{
			name: "arm64 both halves", tb: newTables(true, 4*kib, []uint{30, 21, 12}, []uint{9, 9, 9}),
			root: func() (mmu.Root, error) { return mmu.ARM64(25|25<<16|2<<30, topTable, topTable) },
			attrs: func(leaf bool) uint64 {
				if leaf {
					return 3
				}
				return 1
			},
			pages: []page{{0x4000_0000, 0x4000_0000, 0, gib}, {0x8020_3000, 0x7000, 2, 4 * kib}},
			// The same tables serve both halves and are met twice.
			tables: 2 * 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range tt.pages {
				tt.tb.put(p.va, p.pa, p.level, tt.attrs(p.size == 4*kib), 3)
			}
			r, err := tt.root()
			if err != nil {
				t.Fatal(err)
			}
			tables, maps, err := r.Survey(t.Context(), tt.tb.ram)
			if err != nil {
				t.Fatal(err)
			}
			if len(tables) != tt.tables {
				t.Errorf("%d tables: %+v", len(tables), tables)
			}
			for _, p := range tt.pages {
				found := false
				for _, m := range maps {
					if p.va >= m.Virt && p.va-m.Virt <= m.Size-p.size {
						found = m.Phys+(p.va-m.Virt) == p.pa
					}
				}
				if !found {
					t.Errorf("%#x is not mapped to %#x: %+v", p.va, p.pa, maps)
				}
			}
			for _, m := range maps {
				for _, at := range []uint64{m.Virt, m.Virt + m.Size - 1, m.Virt + m.Size/2} {
					pg, err := r.Translate(t.Context(), tt.tb.ram, at)
					if err != nil || pg.Phys+(at-pg.Virt) != m.Phys+(at-m.Virt) {
						t.Errorf("%#x: the survey says %+v, the walk %+v, %v", at, m, pg, err)
					}
				}
			}
		})
	}
}

// A table that is its own child is no endless survey.
func TestSurveyCircle(t *testing.T) {
	tb := newTables(false, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9})
	for i := range uint64(512) {
		tb.ram.word(topTable+8*i, topTable|3)
	}
	tables, _, err := mmu.X86(topTable, false).Survey(t.Context(), tb.ram)
	if !errors.Is(err, mmu.ErrSurvey) || len(tables) == 0 {
		t.Errorf("%d tables, %v", len(tables), err)
	}
}

// A root and the registers it is told by are the same.
func TestRegistersOfRoot(t *testing.T) {
	for _, r := range []struct{ tcr, ttbr0, ttbr1 uint64 }{
		{25 | 25<<16 | 2<<30, 0x4000, 0x8000},
		{16 | 1<<23, 0x41000, 0},
		{1<<7 | 25<<16 | 2<<30, 0, 0x8000},
		{22 | 22<<16 | 1<<14 | 3<<30, 0x0000_1234_5600_0000 | 0x3c, 0x10000},
		{16 | 16<<16 | 2<<14 | 1<<30, 0x8000, 0xc000},
	} {
		root, err := mmu.ARM64(r.tcr, r.ttbr0, r.ttbr1)
		if err != nil {
			t.Fatal(err)
		}
		tcr, ttbr0, ttbr1, ok := root.ARM64Registers()
		again, err := mmu.ARM64(tcr, ttbr0, ttbr1)
		if err != nil || !ok || again != root {
			t.Errorf("%+v: %#x %#x %#x %v, %+v is not %+v", r, tcr, ttbr0, ttbr1, err, again, root)
		}
	}
	for _, five := range []bool{false, true} {
		root := mmu.X86(0x1000, five)
		if cr3, got, ok := root.Registers(); !ok || got != five || mmu.X86(cr3, got) != root {
			t.Errorf("%#x %v %v", cr3, got, ok)
		}
	}
}
