package unikraft

import (
	"reflect"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
)

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
