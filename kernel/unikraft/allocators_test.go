package unikraft

import (
	"context"
	"math/bits"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// allocImage is testdata/allocators.c, compiled.
var allocImage = sync.OnceValues(func() (Image, error) {
	src, err := filepath.Abs(filepath.Join("testdata", "allocators.c"))
	if err != nil {
		return nil, err
	}
	b, err := exec.Command("sh", "-c", `d=$(mktemp -d) && gcc -g -ffreestanding -fno-builtin -nostdlib -static -no-pie -Wl,-e,main -o $d/i "$0" >&2 && cat $d/i; r=$?; rm -rf "$d"; exit $r`, src).Output()
	if err != nil {
		return nil, err
	}
	img, err := symbolizer.OpenBytes("allocators", b)
	if err != nil {
		return nil, err
	}
	types, err := ctype.New(img)
	if err != nil {
		return nil, err
	}
	return FromSymbolizer(img, types), nil
})

// allocGuest is memory with one allocator whose struct uk_alloc is at heapAt.
type allocGuest struct {
	*guest
	img Image
	t   testing.TB
}

const (
	heapAt   = 0x200000
	heapSize = 0x8000
)

func newAllocGuest(t testing.TB, fn string) *allocGuest {
	t.Helper()
	img, err := allocImage()
	if err != nil {
		t.Fatalf("%v (make tools installs gcc)", err)
	}
	g := &allocGuest{newGuest(), img, t}
	g.zero(heapAt-0x1000, heapSize+0x1000)
	head, _, _ := img.SymbolByName("_uk_alloc_head")
	g.u64(head, heapAt)
	g.set("uk_alloc", "malloc", heapAt, g.symbol("uk_malloc_ifmalloc"))
	g.set("uk_alloc", "palloc", heapAt, g.symbol("uk_palloc_compat"))
	g.set("uk_alloc", "malloc_backend", heapAt, g.symbol(fn))
	return g
}

func (g *allocGuest) symbol(name string) uint64 {
	a, _, ok := g.img.SymbolByName(name)
	if !ok {
		g.t.Fatal("no symbol ", name)
	}
	return a
}

func (g *allocGuest) off(structure, path string) uint64 {
	off, _, err := g.img.Field(structure, path)
	if err != nil {
		g.t.Fatal(err)
	}
	return off
}

func (g *allocGuest) size(structure string) uint64 {
	n, err := g.img.SizeOf(structure)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// set writes a member of the struct at base.
func (g *allocGuest) set(structure, path string, base, v uint64) {
	off, size, err := g.img.Field(structure, path)
	switch {
	case err != nil:
		g.t.Fatal(err)
	case size == 4:
		g.u32(base+off, v)
	default:
		g.u64(base+off, v)
	}
}

func (g *allocGuest) kernel() *Kernel {
	k, err := New(Config{Image: g.img, Memory: g, CPUs: g})
	if err != nil {
		g.t.Fatal(err)
	}
	return k
}

func (g *allocGuest) allocator() kernel.Allocator {
	g.t.Helper()
	h, err := g.kernel().Heap(context.Background())
	if err != nil || len(h.Allocators) == 0 {
		g.t.Fatalf("%+v %v", h, err)
	}
	return h.Allocators[0]
}

// area is the stretch that holds addr, of those whose blocks are dealt out.
func (g *allocGuest) area(addr uint64) kernel.HeapArea {
	g.t.Helper()
	areas, err := g.kernel().HeapMap(context.Background(), addr, addr)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, a := range areas {
		if _, b, _ := a.At(addr); b != nil && len(a.Blocks) > 1 {
			return a
		}
	}
	g.t.Fatalf("no area has %#x: %+v", addr, areas)
	return kernel.HeapArea{}
}

// tiled: blocks fill an area without gap or overlap.
func tiled(t testing.TB, a kernel.HeapArea) {
	t.Helper()
	at := a.First
	for _, b := range a.Blocks {
		if b.Size == 0 || b.Addr != at {
			t.Fatalf("a block of %d B at %#x, should begin at %#x", b.Size, b.Addr, at)
		}
		at = b.Last() + 1
	}
	if at != a.Last+1 {
		t.Fatalf("the blocks end at %#x, the area at %#x", at, a.Last+1)
	}
}

func sums(t testing.TB, a kernel.Allocator, kind string, used, free, largest uint64) {
	t.Helper()
	if a.Kind != kind || !a.Known || len(a.Corrupt) > 0 || a.Used != used || a.Free != free || a.Total != used+free || a.Largest != largest {
		t.Errorf("%+v\nwant %s with %d B used, %d B free, largest %d B", a, kind, used, free, largest)
	}
}

// corrupt: the damage is told, with the address it is at (0: with none).
func corrupt(t testing.TB, a kernel.Allocator, want string, at uint64) {
	t.Helper()
	if !slices.ContainsFunc(a.Corrupt, func(s string) bool { return strings.Contains(s, want) }) || at != 0 && !slices.Contains(a.Damaged, at) {
		t.Errorf("%q at %#x is not among %q, %#x", want, at, a.Corrupt, a.Damaged)
	}
}

const poolObjects = 8

// poolGuest is a pool of 8 objects of 48 B of which those in free are free, in
// the order of the list. It returns the pool's and the first object's address.
func poolGuest(t testing.TB, free ...uint64) (g *allocGuest, pool, first uint64) {
	g = newAllocGuest(t, "pool_malloc")
	pool = heapAt - g.off("uk_allocpool", "self")
	first = (pool + g.size("uk_allocpool") + 63) &^ 63
	g.set("uk_allocpool", "obj_count", pool, poolObjects)
	g.set("uk_allocpool", "free_obj_count", pool, uint64(len(free)))
	g.set("uk_allocpool", "obj_len", pool, 64)
	g.set("uk_allocpool", "obj_align", pool, 64)
	ring := []uint64{pool + g.off("uk_allocpool", "free_obj")}
	for _, i := range free {
		ring = append(ring, first+i*64)
	}
	for i, a := range ring {
		n := ring[(i+1)%len(ring)]
		g.set("uk_list_head", "next", a, n)
		g.set("uk_list_head", "prev", n, a)
	}
	return g, pool, first
}

func TestPool(t *testing.T) {
	for _, free := range [][]uint64{nil, {3}, {5, 0, 2}, {0, 1, 2, 3, 4, 5, 6, 7}} {
		g, _, first := poolGuest(t, free...)
		n, largest := uint64(len(free)), uint64(64)
		if n == 0 {
			largest = 0
		}
		a := g.allocator()
		sums(t, a, "pool", (poolObjects-n)*64, n*64, largest)
		if g.batches > 6 {
			t.Errorf("%d round trips", g.batches)
		}
		area := g.area(first + 3*64 + 10)
		before, at, behind := area.At(first + 3*64 + 10)
		if at.Addr != first+3*64 || (at.Use == kernel.BlockFree) != slices.Contains(free, 3) || before == nil || (before.Use == kernel.BlockFree) != slices.Contains(free, 2) || behind == nil {
			t.Errorf("free %v: %+v %+v %+v", free, before, at, behind)
		}
	}
}

func TestPoolCorrupt(t *testing.T) {
	for _, c := range []struct {
		damage func(g *allocGuest, pool, first uint64)
		want   string
		at     func(pool, first uint64) uint64
	}{
		{func(g *allocGuest, _, first uint64) { g.set("uk_list_head", "next", first+2*64, 0x4141414141414141) }, "no place for an entry", func(_, first uint64) uint64 { return first + 2*64 }},
		{func(g *allocGuest, _, first uint64) { g.set("uk_list_head", "next", first+2*64, first+5*64) }, "circle", func(_, first uint64) uint64 { return first + 2*64 }},
		{func(g *allocGuest, _, first uint64) { g.set("uk_list_head", "next", first+2*64, 0) }, "does not come back", func(_, first uint64) uint64 { return first + 2*64 }},
		{func(g *allocGuest, _, first uint64) { g.set("uk_list_head", "prev", first+2*64, 7) }, "back link", func(_, first uint64) uint64 { return first + 2*64 }},
		{func(g *allocGuest, pool, _ uint64) { g.set("uk_allocpool", "free_obj_count", pool, 2) }, "holds 3 objects, free_obj_count says 2", nil},
		{func(g *allocGuest, pool, _ uint64) { g.set("uk_allocpool", "free_obj_count", pool, 99) }, "99 of 8", func(pool, _ uint64) uint64 { return pool }},
		{func(g *allocGuest, pool, _ uint64) { g.set("uk_allocpool", "obj_len", pool, 0) }, "obj_len is 0", func(pool, _ uint64) uint64 { return pool }},
		{func(g *allocGuest, pool, _ uint64) { g.set("uk_allocpool", "obj_align", pool, 3) }, "power of two", func(pool, _ uint64) uint64 { return pool }},
	} {
		g, pool, first := poolGuest(t, 5, 2, 0)
		c.damage(g, pool, first)
		at := uint64(0)
		if c.at != nil {
			at = c.at(pool, first)
		}
		corrupt(t, g.allocator(), c.want, at)
	}
}

func regionGuest(t testing.TB, used uint64) (g *allocGuest, at, start uint64) {
	g = newAllocGuest(t, "uk_allocregion_malloc")
	at = heapAt + g.off("uk_alloc", "priv")
	start = heapAt + g.size("uk_alloc") + g.size("uk_allocregion")
	g.set("uk_allocregion", "heap_base", at, start+used)
	g.set("uk_allocregion", "heap_top", at, heapAt+heapSize)
	return g, at, start
}

func TestRegion(t *testing.T) {
	g, at, start := regionGuest(t, 1000)
	free := heapAt + heapSize - start - 1000
	sums(t, g.allocator(), "region", 1000, free, free)
	area := g.area(start + 5)
	tiled(t, area)
	if _, b, behind := area.At(start + 5); !b.Joined || behind == nil || behind.Use != kernel.BlockFree || behind.Size != free {
		t.Errorf("%+v %+v", b, behind)
	}
	g.set("uk_allocregion", "heap_base", at, heapAt+heapSize+1)
	a := g.allocator()
	if a.Known {
		t.Errorf("%+v", a)
	}
	corrupt(t, a, "heap_base is", at)
}

func TestStackAllocator(t *testing.T) {
	g := newAllocGuest(t, "stack_malloc")
	at := heapAt - g.off("uk_allocstack", "a")
	g.set("uk_allocstack", "parent_a", at, heapAt)
	a := g.allocator()
	if a.Kind != "stack" || a.Known || a.Parent != heapAt || len(a.Corrupt) > 0 || len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "of the stack allocator at 0x200000") {
		t.Errorf("%+v", a)
	}
	g.set("uk_allocstack", "parent_a", at, 0x1234)
	g.set("uk_allocstack", "vas", at, 0x5000)
	g.set("uk_allocstack", "premapped_len", at, 8192)
	if a := g.allocator(); len(a.Notes) != 2 || !strings.Contains(a.Notes[0], "8192 B") || !strings.Contains(a.Notes[1], "0x1234, which is not in the list") {
		t.Errorf("%+v", a)
	}
	g.set("uk_allocstack", "parent_a", at, 0)
	corrupt(t, g.allocator(), "parent_a is 0", at)
}

// piece is a block of a heap that a test lays out.
type piece struct {
	size uint64
	free bool
}

// tinyGuest lays pieces out in tinyalloc's memory, records in falling order.
func tinyGuest(t testing.TB, pieces ...piece) (g *allocGuest, records []uint64, start, top uint64) {
	g = newAllocGuest(t, "uk_tinyalloc_malloc")
	at := heapAt + g.off("uk_alloc", "priv")
	heap := at + g.size("tinyalloc")
	array := heap + g.size("Heap")
	const count = 16
	start = array + count*g.size("Block")
	g.set("tinyalloc", "heap", at, heap)
	g.set("tinyalloc", "heap_limit", at, heapAt+heapSize)
	g.set("tinyalloc", "heap_max_blocks", at, count)
	g.set("Heap", "blocks", heap, array)
	heads := map[string]uint64{}
	push := func(list string, rec uint64) {
		g.set("Block", "next", rec, heads[list])
		heads[list] = rec
	}
	top = start
	for i := range uint64(count) {
		rec := array + (count-1-i)*g.size("Block")
		records = append(records, rec)
		if i >= uint64(len(pieces)) {
			push("fresh", rec)
			continue
		}
		g.set("Block", "addr", rec, top)
		g.set("Block", "size", rec, pieces[i].size)
		push(map[bool]string{true: "free", false: "used"}[pieces[i].free], rec)
		top += pieces[i].size
	}
	g.set("Heap", "top", heap, top)
	for list, rec := range heads {
		g.set("Heap", list, heap, rec)
	}
	return g, records, start, top
}

func TestTinyalloc(t *testing.T) {
	g, _, start, top := tinyGuest(t, piece{100, false}, piece{64, true}, piece{200, false}, piece{80, true})
	rest := heapAt + heapSize - top
	sums(t, g.allocator(), "tinyalloc", 300, 144+rest, 80+rest)
	area := g.area(start + 170)
	tiled(t, area)
	want := []kernel.Block{
		{Addr: start, Size: 100, Object: start},
		{Addr: start + 100, Size: 64, Use: kernel.BlockFree},
		{Addr: start + 164, Size: 200, Object: start + 164},
		{Addr: start + 364, Size: 80, Use: kernel.BlockFree},
		{Addr: top, Size: rest, Use: kernel.BlockFree},
	}
	if !reflect.DeepEqual(area.Blocks, want) {
		t.Errorf("%+v\nwant %+v", area.Blocks, want)
	}
	g, _, _, _ = tinyGuest(t)
	if a := g.allocator(); !a.Known || a.Used != 0 || a.Largest != a.Free || len(a.Corrupt) > 0 {
		t.Errorf("%+v", a)
	}
}

func TestTinyallocCorrupt(t *testing.T) {
	for _, c := range []struct {
		damage func(g *allocGuest, rec []uint64)
		want   string
		rec    int // the record that is damaged
	}{
		{func(g *allocGuest, rec []uint64) { g.set("Block", "next", rec[2], 0x41414141) }, "not in the array", 2},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "next", rec[0], rec[2]) }, "in a list already", 0},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "next", rec[3], rec[0]) }, "in a list already", 2},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "next", rec[2], 0) }, "hold 15 blocks of 16", -1},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "size", rec[1], 1<<40) }, "not in", 1},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "size", rec[1], 72) }, "begins before", 2},
		{func(g *allocGuest, rec []uint64) { g.set("Block", "size", rec[1], 56) }, "no block has", 2},
	} {
		g, rec, _, _ := tinyGuest(t, piece{100, false}, piece{64, true}, piece{200, false}, piece{80, true})
		c.damage(g, rec)
		at := uint64(0)
		if c.rec >= 0 {
			at = rec[c.rec]
		}
		a := g.allocator()
		if a.Known && c.rec > 0 {
			t.Errorf("%s: sums are told: %+v", c.want, a)
		}
		corrupt(t, a, c.want, at)
	}
}

// tlsfGuest lays pieces out in one area of TLSF; a piece's size is that of its
// payload. Headers are the blocks' addresses, the area's own first.
func tlsfGuest(t testing.TB, pieces ...piece) (g *allocGuest, control uint64, headers []uint64) {
	g = newAllocGuest(t, "uk_tlsf_malloc")
	control = heapAt + g.size("uk_alloc")
	at := (control + g.size("TLSF_struct") + 15) &^ 15
	head := g.off("bhdr_struct", "ptr")
	g.set("TLSF_struct", "tlsf_signature", control, tlsfSignature)
	g.set("TLSF_struct", "area_head", control, at+head)
	before, prevFree := uint64(0), false
	var fl uint64
	sl := map[uint64]uint64{}
	write := func(size uint64, free bool) {
		flags := uint64(0)
		if free {
			flags |= tlsfFree
		}
		if prevFree {
			flags |= tlsfPrevFree
			g.set("bhdr_struct", "prev_hdr", at, before)
		}
		g.set("bhdr_struct", "size", at, size|flags)
		headers = append(headers, at)
		before, prevFree = at, free
		at += head + size
	}
	area := at + head
	write((g.size("area_info_struct")+15)&^15, false)
	for _, p := range pieces {
		write(p.size, p.free)
		if !p.free {
			continue
		}
		row, column := uint64(0), p.size/8
		if p.size >= 128 {
			top := uint64(bits.Len64(p.size) - 1)
			row, column = top-6, p.size>>(top-4)-16
		}
		slot := control + g.off("TLSF_struct", "matrix") + 8*(16*row+column)
		first := uint64(0)
		for i := range uint64(8) {
			first |= uint64(g.bytes[slot+i]) << (8 * i)
		}
		g.set("bhdr_struct", "ptr.free_ptr.next", before, first)
		if first != 0 {
			g.set("bhdr_struct", "ptr.free_ptr.prev", first, before)
		}
		g.u64(slot, before)
		fl |= 1 << row
		sl[row] |= 1 << column
	}
	write(0, false)
	g.set("area_info_struct", "end", area, before)
	g.set("TLSF_struct", "fl_bitmap", control, fl)
	for row, v := range sl {
		g.u32(control+g.off("TLSF_struct", "sl_bitmap")+4*row, v)
	}
	return g, control, headers
}

// typicalTLSF has two blocks in one free list, a small and a large one.
var typicalTLSF = []piece{{32, false}, {512, true}, {48, false}, {64, true}, {4096, false}, {520, true}, {16, false}, {9000 &^ 15, true}}

func TestTLSF(t *testing.T) {
	g, _, h := tlsfGuest(t, typicalTLSF...)
	free := uint64(512 + 64 + 520 + 9000&^15)
	total := h[len(h)-1] + 16 - h[0]
	sums(t, g.allocator(), "tlsf", total-free, free, 9000&^15)
	if g.batches > 10 {
		t.Errorf("%d round trips", g.batches)
	}
	area := g.area(h[3] + 20)
	tiled(t, area)
	before, at, behind := area.At(h[3] + 20)
	if at.Addr != h[3] || at.Size != 64 || at.Object != h[3]+16 || before.Use != kernel.BlockFree || before.Addr != h[2] || behind.Use != kernel.BlockFree || behind.Size != 80 {
		t.Errorf("%+v %+v %+v", before, at, behind)
	}
}

func TestTLSFCorrupt(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(g *allocGuest, control uint64, h []uint64)
		want   string
		header int // whose header is damaged, -1: none
		known  bool
	}{
		{"an overflow of block 1 into the header of 2", func(g *allocGuest, _ uint64, h []uint64) {
			g.u64(h[2], 0x4141414141414141)
			g.u64(h[2]+8, 0x4141414141414141)
		}, "does not meet a next block", 2, false},
		{"a size that leads into the middle of a block", func(g *allocGuest, _ uint64, h []uint64) { g.set("bhdr_struct", "size", h[1], 48) }, "", -1, false},
		{"a flag", func(g *allocGuest, _ uint64, h []uint64) { g.set("bhdr_struct", "size", h[3], 48) }, "has the block before it", 3, true},
		{"prev_hdr", func(g *allocGuest, _ uint64, h []uint64) { g.set("bhdr_struct", "prev_hdr", h[3], h[1]) }, "has the block before it at", 3, true},
		{"a link to nowhere", func(g *allocGuest, _ uint64, h []uint64) {
			g.set("bhdr_struct", "ptr.free_ptr.next", h[6], 0x4242)
		}, "leads to 0x4242, where no block begins", 6, true},
		{"a circle", func(g *allocGuest, _ uint64, h []uint64) {
			g.set("bhdr_struct", "ptr.free_ptr.next", h[2], h[6])
		}, "in a list already", 2, true},
		{"a link to a used block", func(g *allocGuest, _ uint64, h []uint64) {
			g.set("bhdr_struct", "ptr.free_ptr.next", h[2], h[3])
		}, "used by its header", 2, true},
		{"a back link", func(g *allocGuest, _ uint64, h []uint64) {
			g.set("bhdr_struct", "ptr.free_ptr.prev", h[2], h[3])
		}, "back link", 2, true},
		{"a bit without a list", func(g *allocGuest, control uint64, _ []uint64) {
			g.u32(control+g.off("TLSF_struct", "sl_bitmap")+4*5, 4)
		}, "sl_bitmap[5] has bit 2 set, the free list [5][2] begins with 0x0", -1, true},
		{"the first level", func(g *allocGuest, control uint64, _ []uint64) { g.set("TLSF_struct", "fl_bitmap", control, 0) }, "fl_bitmap 0x0 has bit 3 clear", -1, true},
		{"a block in no list", func(g *allocGuest, _ uint64, h []uint64) {
			g.set("bhdr_struct", "ptr.free_ptr.next", h[6], 0)
		}, "is in no free list", 2, true},
		{"the last header", func(g *allocGuest, _ uint64, h []uint64) { g.set("bhdr_struct", "size", h[9], 1<<40) }, "the last of the area", 9, false},
		{"the signature", func(g *allocGuest, control uint64, _ []uint64) {
			g.set("TLSF_struct", "tlsf_signature", control, 1)
		}, "signature is 0x1", -1, false},
	} {
		g, control, h := tlsfGuest(t, typicalTLSF...)
		if c.damage(g, control, h); len(h) != 10 {
			t.Fatal(len(h))
		}
		at := uint64(0)
		if c.header >= 0 {
			at = h[c.header]
		}
		a := g.allocator()
		if a.Known != c.known {
			t.Errorf("%s: %+v", c.name, a)
		}
		corrupt(t, a, c.want, at)
	}
}

// A heap larger than a page is read ahead: few round trips for many blocks.
func TestTLSFRoundTrips(t *testing.T) {
	pieces := make([]piece, 600)
	for i := range pieces {
		pieces[i] = piece{16, false}
	}
	g, _, h := tlsfGuest(t, pieces...)
	sums(t, g.allocator(), "tlsf", h[len(h)-1]+16-h[0], 0, 0)
	if g.batches > 10 {
		t.Errorf("%d round trips", g.batches)
	}
}

func TestMimalloc(t *testing.T) {
	g := newAllocGuest(t, "uk_mimalloc_malloc")
	stats := g.symbol("_mi_stats_main")
	if a := g.allocator(); a.Kind != "mimalloc" || a.Known || !strings.Contains(a.Notes[0], "not readable") {
		t.Errorf("%+v", a)
	}
	g.zero(stats, g.size("mi_stats_s"))
	g.set("mi_stats_s", "reserved.current", stats, 64<<20)
	g.set("mi_stats_s", "committed.current", stats, 8<<20)
	if a := g.allocator(); a.Known || !strings.Contains(a.Notes[0], "8388608 B committed of 67108864 B reserved; how much of it is in use is not counted") {
		t.Errorf("%+v", a)
	}
	g.set("mi_stats_s", "malloc.current", stats, 4711)
	if a := g.allocator(); !strings.Contains(a.Notes[0], "4711 B of it in use") {
		t.Errorf("%+v", a)
	}
}

// FuzzAllocators overwrites words of each allocator's heap: whatever they hold,
// sums add up and blocks lie in their stretch, in order.
func FuzzAllocators(f *testing.F) {
	for kind := range byte(4) {
		f.Add(kind, []byte{})
		f.Add(kind, []byte{2, 1, 1, 0, 1, 4, 0xff, 0, 0, 9, 3, 8})
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		if len(data) > 1024 {
			return
		}
		var g *allocGuest
		bases := []uint64{heapAt, heapAt + 64}
		switch kind % 4 {
		case 0:
			pool, at, first := poolGuest(t, 5, 2, 0)
			g, bases = pool, append(bases, at, first, first+128)
		case 1:
			r, at, start := regionGuest(t, 64)
			g, bases = r, append(bases, at, start)
		case 2:
			tiny, rec, start, _ := tinyGuest(t, piece{100, false}, piece{64, true}, piece{200, false})
			g, bases = tiny, append(append(bases, start), rec[:4]...)
		case 3:
			tl, control, h := tlsfGuest(t, typicalTLSF...)
			g, bases = tl, append(append(bases, control), h...)
		}
		scribble(g.guest, bases, data)
		h, err := g.kernel().Heap(context.Background())
		if err != nil {
			return
		}
		for _, a := range h.Allocators {
			if a.Known && (a.Used+a.Free != a.Total || a.Largest > a.Total) || len(data) == 0 && (!a.Known || len(a.Corrupt) > 0) || len(a.Corrupt) > maxCorrupt {
				t.Fatalf("%+v", a)
			}
		}
		areas, err := g.kernel().HeapMap(context.Background(), 0, ^uint64(0))
		if err != nil {
			return
		}
		for _, a := range areas {
			at := a.First
			for _, b := range a.Blocks {
				if b.Size == 0 || b.Addr < at || b.Last() < b.Addr || b.Last() > a.Last {
					t.Fatalf("%+v in %#x to %#x", b, a.First, a.Last)
				}
				at = b.Last() + 1
			}
		}
	})
}
