package unikraft

import (
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
)

const poolObjects = 8

// poolGuest is a pool of 8 objects of 64 B of which those in free are free, in
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
