package mmu_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/mmu"
)

const (
	kib = uint64(1) << 10
	mib = uint64(1) << 20
	gib = uint64(1) << 30
	tib = uint64(1) << 40
)

func translate(t *testing.T, tb *tables, r mmu.Root, va uint64) mmu.Page {
	t.Helper()
	p, err := r.Translate(t.Context(), tb.ram, va)
	if err != nil {
		t.Fatalf("%#x: %v", va, err)
	}
	return p
}

func wantUnmapped(t *testing.T, tb *tables, r mmu.Root, va uint64, level, why string) {
	t.Helper()
	_, err := r.Translate(t.Context(), tb.ram, va)
	var u *mmu.NotMappedError
	if !errors.As(err, &u) || u.Level != level || !strings.Contains(u.Why, why) {
		t.Errorf("%#x: error %v, want %s %s", va, err, level, why)
	}
}

func TestX86FourLevels(t *testing.T) {
	tb := newTables(false, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9})
	const p, w, u, large, nx = 1, 2, 4, 0x80, uint64(1) << 63
	tb.put(0x401000, 0x9000, 3, p|w, w|u)
	tb.put(0xffff_8000_0020_0000, 0x1_2340_0000, 2, p|u|large|nx|uint64(5)<<59, w|u)
	tb.put(0xffff_ffff_c000_0000, 3*gib, 1, p|w|u|large, w|u)
	tb.put(0xffff_ff80_0000_0000-512*gib, 0, 0, p|large, 0) // no such page size
	r := mmu.X86(topTable|0x18, false)                      // PCD and PWT are not address bits

	if got, want := translate(t, tb, r, 0x401abc), (mmu.Page{Virt: 0x401000, Phys: 0x9000, Size: 4 * kib, Writable: true, Executable: true, Entry: 0x9003}); got != want {
		t.Errorf("4 KiB page %+v, want %+v", got, want)
	}
	got := translate(t, tb, r, 0xffff_8000_003f_ffff)
	if got.Virt != 0xffff_8000_0020_0000 || got.Phys != 0x1_2340_0000 || got.Size != 2*mib || got.Writable || !got.User || got.Executable || got.Key != 5 {
		t.Errorf("2 MiB page %+v", got)
	}
	if got := translate(t, tb, r, ^uint64(0)); got.Phys != 3*gib || got.Size != gib || !got.Writable {
		t.Errorf("1 GiB page at the top %+v", got)
	}
	wantUnmapped(t, tb, r, 0x402000, "PT", "not present")
	wantUnmapped(t, tb, r, 0x8000_0000_0000, "", "not a canonical address of 48 bits")
	wantUnmapped(t, tb, r, 0xffff_ff00_0000_0000, "PML4", "malformed")
}

func TestX86FiveLevels(t *testing.T) {
	tb := newTables(false, 4*kib, []uint{48, 39, 30, 21, 12}, []uint{9, 9, 9, 9, 9})
	tb.put(0x00ab_cdef_0123_4000, 0x7000, 4, 1, 3)
	r := mmu.X86(topTable, true)
	if got := translate(t, tb, r, 0x00ab_cdef_0123_4fff); got.Phys != 0x7000 || got.Writable {
		t.Errorf("page %+v", got)
	}
	wantUnmapped(t, tb, r, 0x0100_0000_0000_0000, "", "57 bits")
	wantUnmapped(t, tb, r, 0, "PML5", "not present")
}

// The arm64 formats: TCR_EL1 with TG0/TG1 and T0SZ/T1SZ, and the levels'
// shifts, by tables D8-… of the manual.
func TestARM64(t *testing.T) {
	const valid, page, user, ro, pxn = 1, 3, 1 << 6, 1 << 7, uint64(1) << 53
	tests := []struct {
		name          string
		tcr           uint64
		granule       uint64
		shifts, width []uint
		blocks        map[int]uint64 // level index: size
		last          int
	}{
		{"4 KiB, 48 bits", 16 | 16<<16 | 0<<14 | 2<<30, 4 * kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9}, map[int]uint64{1: gib, 2: 2 * mib}, 3},
		{"4 KiB, 39 bits", 25 | 25<<16 | 0<<14 | 2<<30, 4 * kib, []uint{30, 21, 12}, []uint{9, 9, 9}, map[int]uint64{0: gib, 1: 2 * mib}, 2},
		{"4 KiB, 36 bits", 28 | 28<<16 | 0<<14 | 2<<30, 4 * kib, []uint{30, 21, 12}, []uint{6, 9, 9}, map[int]uint64{0: gib}, 2},
		{"16 KiB, 47 bits", 17 | 17<<16 | 2<<14 | 1<<30, 16 * kib, []uint{36, 25, 14}, []uint{11, 11, 11}, map[int]uint64{1: 32 * mib}, 2},
		{"16 KiB, 48 bits", 16 | 16<<16 | 2<<14 | 1<<30, 16 * kib, []uint{47, 36, 25, 14}, []uint{1, 11, 11, 11}, map[int]uint64{2: 32 * mib}, 3},
		{"64 KiB, 42 bits", 22 | 22<<16 | 1<<14 | 3<<30, 64 * kib, []uint{29, 16}, []uint{13, 13}, map[int]uint64{0: 512 * mib}, 1},
		{"64 KiB, 48 bits", 16 | 16<<16 | 1<<14 | 3<<30, 64 * kib, []uint{42, 29, 16}, []uint{6, 13, 13}, map[int]uint64{1: 512 * mib, 0: 4 * tib}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tb := newTables(true, tt.granule, tt.shifts, tt.width)
			// The same table serves both halves.
			r, err := mmu.ARM64(tt.tcr, topTable|1, topTable|0x0001_0000_0000_0000)
			if tt.granule == 64*kib {
				r, err = mmu.ARM64(tt.tcr, topTable, topTable) // ASID bits aside
			}
			if err != nil {
				t.Fatal(err)
			}
			tb.put(5*tt.granule, 0x4_0000_0000, tt.last, page|user, 0)
			got := translate(t, tb, r, 5*tt.granule+7)
			if got.Virt != 5*tt.granule || got.Phys != 0x4_0000_0000 || got.Size != tt.granule || !got.User || !got.Writable || !got.Executable {
				t.Errorf("page %+v", got)
			}
			// The last page of the high half.
			top := -tt.granule
			tb.put(top, 0x5_0000_0000, tt.last, page|ro|pxn, 0)
			if got := translate(t, tb, r, ^uint64(0)); got.Virt != top || got.Phys != 0x5_0000_0000 || got.User || got.Writable || got.Executable {
				t.Errorf("top page %+v", got)
			}
			for level, size := range tt.blocks {
				va := 3 * size
				if level == 0 && tt.width[0] <= 6 {
					va = size * (1<<tt.width[0] - 2)
				}
				tb.put(va, 4*size, level, valid, 0)
				if got := translate(t, tb, r, va+size/2); got.Virt != va || got.Phys != 4*size&(1<<48-1) || got.Size != size {
					t.Errorf("block of %d bytes: %+v", size, got)
				}
			}
			tb.put(9*tt.granule, 0, tt.last, valid, 0)
			wantUnmapped(t, tb, r, 9*tt.granule, "level 3", "reserved")
			wantUnmapped(t, tb, r, 10*tt.granule, "level 3", "not valid")
			wantUnmapped(t, tb, r, 1<<60, "", "bits of this half")
		})
	}
}

func TestARM64TableAttributesAndWideAddresses(t *testing.T) {
	tb := newTables(true, 64*kib, []uint{42, 29, 16}, []uint{10, 13, 13}) // 52 bits
	// APTable = read-only and no EL0, PXNTable; address bits 51:48 in 15:12.
	tb.put(0x10000, 0x1_2345_0000|0xa<<12, 2, 3|1<<6, 3<<61|1<<59)
	r, err := mmu.ARM64(12|12<<16|1<<14|3<<30, topTable, topTable)
	if err != nil {
		t.Fatal(err)
	}
	got := translate(t, tb, r, 0x10000)
	if got.Phys != 0xa_0001_2345_0000 || got.User || got.Writable || got.Executable {
		t.Errorf("page %+v", got)
	}
}

// FEAT_LPA2 (TCR_EL1.DS): address bits 51:50 are in bits 9:8, 49:48 where they
// belong, those of TTBR in its bits 5:2; there is a level -1, and there are blocks one
// level higher.
func TestARM64LPA2(t *testing.T) {
	const ds = uint64(1) << 59
	for _, c := range []struct {
		name          string
		tcr           uint64
		granule       uint64
		shifts, width []uint
		blocks        map[int]uint64
	}{
		{"4 KiB", 12 | 12<<16 | 0<<14 | 2<<30, 4 * kib, []uint{48, 39, 30, 21, 12}, []uint{4, 9, 9, 9, 9}, map[int]uint64{1: 512 * gib, 2: gib, 3: 2 * mib}},
		{"4 KiB, 48 bits", 16 | 16<<16 | 0<<14 | 2<<30, 4 * kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9}, map[int]uint64{0: 512 * gib, 1: gib, 2: 2 * mib}},
		{"16 KiB", 12 | 12<<16 | 2<<14 | 1<<30, 16 * kib, []uint{47, 36, 25, 14}, []uint{5, 11, 11, 11}, map[int]uint64{1: 64 * gib, 2: 32 * mib}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := newTables(true, c.granule, c.shifts, c.width)
			r, err := mmu.ARM64(c.tcr|ds, topTable, topTable)
			if err != nil {
				t.Fatal(err)
			}
			last := len(c.shifts) - 1
			// Physical 0xb_4000_0001_8000, the top bits folded.
			const low, high = 0x1_8000, uint64(0xb) << 48
			tb.put(5*c.granule, low|high&(3<<48)|high>>50<<8|3, last, 0, 0)
			if got := translate(t, tb, r, 5*c.granule+9); got.Phys != low|high || got.Virt != 5*c.granule || got.Size != c.granule {
				t.Errorf("page %+v", got)
			}
			tb.put(-c.granule, 0x40_0000|3, last, 0, 0)
			if got := translate(t, tb, r, ^uint64(0)); got.Phys != 0x40_0000 {
				t.Errorf("top page %+v", got)
			}
			for level, size := range c.blocks {
				va := 3 * size
				tb.put(va, 1<<41|1<<8|1, level, 0, 0) // bit 50
				if got := translate(t, tb, r, va+size/2); got.Virt != va || got.Phys != 1<<50|1<<41&^(size-1) || got.Size != size {
					t.Errorf("block of %#x bytes: %+v", size, got)
				}
			}
		})
	}
	// The top table beyond 48 bits, and what only LPA2 allows, without it.
	tb := newTables(true, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9})
	r, err := mmu.ARM64(16|1<<23|ds, 0xc<<2|topTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Translate(t.Context(), tb.ram, 0); err == nil || !strings.Contains(err.Error(), "0xc000000400000") {
		t.Errorf("the top table's high bits: %v", err)
	}
	plain, err := mmu.ARM64(16|1<<23, topTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	tb.put(0, 1, 0, 0, 0)
	wantUnmapped(t, tb, plain, 0, "level 0", "a block of this level does not exist")
}

func TestARM64Registers(t *testing.T) {
	for name, tcr := range map[string]uint64{
		"both halves off": 1<<7 | 1<<23, "reserved granule": 16 | 3<<14,
		"different granules": 16 | 16<<16 | 0<<14 | 3<<30, "1 bit": 63 | 1<<23, "52 bits of 4 KiB": 12 | 1<<23,
	} {
		if r, err := mmu.ARM64(tcr, 0, 0); err == nil {
			t.Errorf("%s: TCR_EL1 %#x was accepted: %+v", name, tcr, r)
		}
	}
	r, err := mmu.ARM64(16|1<<23, topTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	wantUnmapped(t, newTables(true, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9}), r, ^uint64(0), "", "off for this half")
}

func TestVirtual(t *testing.T) {
	tb := newTables(false, 4*kib, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9})
	tb.put(0x1000, 0x9000, 3, 3, 3)
	tb.put(0x2000, 0x5000, 3, 3, 3) // not in physical order
	tb.put(0x4000, 0x666000, 3, 3, 3)
	for i := range uint64(4096) {
		tb.ram[0x9000+i], tb.ram[0x5000+i] = 'a', 'b'
	}
	v := mmu.Virtual(tb.ram, mmu.X86(topTable, false))
	p := make([]byte, 8)
	if err := target.ReadFull(t.Context(), v, p, 0x1ffc); err != nil || !bytes.Equal(p, []byte("aaaabbbb")) {
		t.Errorf("across a page: %q, error %v", p, err)
	}
	n, err := v.ReadMemory(t.Context(), p, 0x2ffc)
	var f *target.FaultError
	if n != 4 || !errors.As(err, &f) || f.Addr != 0x3000 || !strings.Contains(f.Why, "PT entry 0x0 is not present") {
		t.Errorf("into a hole: %d bytes, error %v", n, err)
	}
	if n, err := v.ReadMemory(t.Context(), p, 0x4000); n != 0 || !errors.As(err, &f) || f.Addr != 0x4000 || !strings.Contains(f.Why, "no RAM") {
		t.Errorf("mapped to no RAM: %d bytes, error %v", n, err)
	}
	// A translation is kept until it is flushed.
	tb.put(0x1000, 0x5000, 3, 3, 3)
	_ = target.ReadFull(t.Context(), v, p, 0x1000)
	if p[0] != 'a' {
		t.Error("translation was not kept")
	}
	v.Flush()
	if _ = target.ReadFull(t.Context(), v, p, 0x1000); p[0] != 'b' {
		t.Error("translation was kept beyond Flush")
	}
	id := mmu.Virtual(tb.ram, mmu.Root{})
	if err := target.ReadFull(t.Context(), id, p, 0x9000); err != nil || p[0] != 'a' {
		t.Errorf("identity: %q, error %v", p, err)
	}
	if _, err := id.ReadMemory(t.Context(), p, 0x777000); !errors.As(err, &f) || f.Why != "no RAM" && strings.Contains(f.Why, "0x777000") {
		t.Errorf("an address that is mapped to itself is told twice: %v", err)
	}
	if n, err := mmu.Virtual(everywhere{}, mmu.Root{}).ReadMemory(t.Context(), p, ^uint64(0)-3); n != 4 || err == nil {
		t.Errorf("over the top: %d bytes, error %v", n, err)
	}
}

// everywhere is physical memory without an end.
type everywhere struct{}

func (everywhere) ReadMemory(_ context.Context, p []byte, _ uint64) (int, error) { return len(p), nil }

// TestManyAtOnce: many ranges in one go are what they are one by one, also after
// the tables changed and were forgotten.
func TestManyAtOnce(t *testing.T) {
	tb := newTables(false, 4096, []uint{39, 30, 21, 12}, []uint{9, 9, 9, 9})
	for i := range uint64(8) {
		if i != 5 {
			tb.put(0x40_0000+i<<12, 0x80_0000+(7-i)<<12, 3, 1, 2)
		}
		for off := uint64(0); off < 4096; off += 8 {
			tb.ram.word(0x80_0000+i<<12+off, 0x1111*i+off)
		}
	}
	s := mmu.Virtual(tb.ram, mmu.X86(topTable, false))
	check := func() {
		t.Helper()
		var ranges []target.Range
		for i := range uint64(40) {
			ranges = append(ranges, target.Range{Addr: 0x3f_f000 + i*1000, Data: make([]byte, 1+i*97)})
		}
		if err := s.ReadMany(t.Context(), ranges); err != nil {
			t.Fatal(err)
		}
		for _, r := range ranges {
			one := make([]byte, len(r.Data))
			n, err := s.ReadMemory(t.Context(), one, r.Addr)
			if n != r.N || string(one[:n]) != string(r.Data[:r.N]) || (err == nil) != (r.Err == nil) || err != nil && err.Error() != r.Err.Error() {
				t.Errorf("%#x, %d bytes: %d, %v in one go; %d, %v alone", r.Addr, len(r.Data), r.N, r.Err, n, err)
			}
		}
	}
	check()
	tb.put(0x40_5000, 0x80_2000, 3, 1, 2)
	if _, err := s.ReadMemory(t.Context(), make([]byte, 1), 0x40_5000); err == nil {
		t.Error("tables are not kept")
	}
	s.Flush()
	check()
	if _, err := s.ReadMemory(t.Context(), make([]byte, 1), 0x40_5000); err != nil {
		t.Errorf("after Flush: %v", err)
	}
}

func TestLostLinkIsNoHole(t *testing.T) {
	v := mmu.Virtual(gone{}, mmu.X86(0x1000, false))
	_, err := v.ReadMemory(t.Context(), make([]byte, 8), 0x1000)
	var f *target.FaultError
	if !errors.Is(err, target.ErrLost) || errors.As(err, &f) {
		t.Errorf("error %v", err)
	}
}

type gone struct{}

func (gone) ReadMemory(context.Context, []byte, uint64) (int, error) { return 0, target.ErrLost }

// loop is physical memory full of one entry: tables that point to themselves.
type loop struct {
	seed  []byte
	reads int
}

func (l *loop) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	l.reads++
	for i := range p {
		if len(l.seed) > 0 {
			p[i] = l.seed[(addr+uint64(i))%uint64(len(l.seed))]
		}
	}
	return len(p), nil
}

func FuzzTranslate(f *testing.F) {
	f.Add(uint64(0x1000), uint64(0), uint64(0x401000), []byte{3, 0x10, 0, 0, 0, 0, 0, 0}, false)
	f.Add(uint64(16|16<<16|2<<30), uint64(0x1000), uint64(0xffff800000000000), []byte{3, 0x10, 0, 0, 0, 0, 0, 0}, true)
	f.Add(uint64(12|12<<16|1<<14|3<<30), uint64(0x3f), ^uint64(0), []byte{0xff}, true)
	f.Fuzz(func(t *testing.T, a, b, va uint64, seed []byte, arm bool) {
		root := mmu.X86(a, b&mmu.CR4LA57 != 0)
		if arm {
			var err error
			if root, err = mmu.ARM64(a, b, b); err != nil {
				return
			}
		}
		l := &loop{seed: seed}
		p, err := root.Translate(t.Context(), l, va)
		if l.reads > 5 {
			t.Errorf("%d steps", l.reads)
		}
		if err == nil && (!p.Contains(va) || p.Size < 4096 || p.Size&(p.Size-1) != 0 || p.Phys&(p.Size-1) != 0 || p.Phys >= 1<<52) {
			t.Errorf("%#x is in page %+v", va, p)
		}
		buf := make([]byte, 64)
		if n, err := mmu.Virtual(l, root).ReadMemory(t.Context(), buf, va); n != len(buf) && err == nil {
			t.Errorf("%d bytes and no error", n)
		}
	})
}

// patient is a loop that fails for good after some reads.
type patient struct{ loop }

var errEnough = errors.New("read enough")

func (p *patient) ReadMemory(ctx context.Context, b []byte, addr uint64) (int, error) {
	if p.reads >= 64 {
		return 0, errEnough
	}
	return p.loop.ReadMemory(ctx, b, addr)
}

// FuzzSurvey: whatever page tables hold, a survey ends and what it maps rises, and is
// what a walk finds.
func FuzzSurvey(f *testing.F) {
	f.Add(uint64(0x1000), uint64(0), []byte{3, 0x10, 0, 0, 0, 0, 0, 0}, false)
	f.Add(uint64(0x1000), uint64(mmu.CR4LA57), []byte{0x83, 0, 0x20, 0, 0, 0, 0, 0, 3, 0x10, 0, 0, 0, 0, 0, 0}, false)
	f.Add(uint64(16|16<<16|2<<30), uint64(0x1000), []byte{3, 0x10, 0, 0, 0, 0, 0, 0}, true)
	f.Add(uint64(25|25<<16|1<<14|3<<30), uint64(0x3f), []byte{1, 0, 0x20, 0, 0, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, a, b uint64, seed []byte, arm bool) {
		if len(seed) > 4096 {
			return
		}
		root := mmu.X86(a, b&mmu.CR4LA57 != 0)
		if arm {
			var err error
			if root, err = mmu.ARM64(a, b, b); err != nil {
				return
			}
		}
		mem := &patient{loop{seed: seed}}
		tables, maps, err := root.Survey(t.Context(), mem)
		if err != nil && !errors.Is(err, errEnough) && !errors.Is(err, mmu.ErrSurvey) {
			t.Fatal(err)
		}
		if len(tables) > mem.reads {
			t.Errorf("%d tables of %d", len(tables), mem.reads)
		}
		for i, m := range maps {
			if m.Size == 0 || m.Virt+(m.Size-1) < m.Virt || i > 0 && m.Virt <= maps[i-1].Virt+(maps[i-1].Size-1) {
				t.Fatalf("%+v", maps[max(0, i-1):i+1])
			}
		}
		for _, m := range maps[:min(len(maps), 16)] {
			for _, off := range []uint64{0, m.Size - 1} {
				p, err := root.Translate(t.Context(), &loop{seed: seed}, m.Virt+off)
				if err != nil || p.Phys+(m.Virt+off-p.Virt) != m.Phys+off {
					t.Fatalf("%+v at %#x: a walk finds %+v, %v", m, off, p, err)
				}
			}
		}
	})
}
