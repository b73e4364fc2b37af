package unikraft

import (
	"strings"
	"testing"
)

// miGuest lays out two pages of mimalloc's: a with blocks of 64 bytes, 5 of 8 in
// use, one of them in the heap's list of what other threads freed; b with 4 of 128,
// one freed by another thread.
func miGuest(t testing.TB) (g *allocGuest, heap, a, b uint64) {
	g = newAllocGuest(t, "uk_mimalloc_malloc")
	stats := g.symbol("_mi_stats_main")
	g.zero(stats, g.size("mi_stats_s"))
	heap = g.symbol("_mi_heap_main")
	g.zero(heap, g.size("mi_heap_s"))
	const segment, memory = heapAt, 64 << 10
	a = segment + g.off("mi_segment_s", "slices")
	b = a + g.size("mi_page_s")
	g.zero(segment+memory, 0x1000)
	tld := heapAt + 0x7000 + 0
	g.set("mi_heap_s", "tld", heap, uint64(tld))
	g.set("mi_tld_s", "heaps", uint64(tld), heap)
	g.set("mi_heap_s", "page_count", heap, 2)
	queue := heap + g.off("mi_heap_s", "pages")
	page := func(at, q, size, capacity, reserved, used uint64) {
		g.set("mi_page_s", "slice_count", at, 1)
		g.set("mi_page_s", "xblock_size", at, size)
		g.u16(at+g.off("mi_page_s", "capacity"), capacity)
		g.u16(at+g.off("mi_page_s", "reserved"), reserved)
		g.set("mi_page_s", "used", at, used)
		g.set("mi_page_queue_s", "first", queue+q*g.size("mi_page_queue_s"), at)
		g.set("mi_page_queue_s", "last", queue+q*g.size("mi_page_queue_s"), at)
	}
	page(a, 0, 64, 8, 16, 5)
	const blocks = segment + 0x1000
	g.set("mi_page_s", "free", a, blocks+64)
	g.u64(blocks+64, blocks+3*64)
	g.set("mi_page_s", "local_free", a, blocks)
	g.set("mi_heap_s", "thread_delayed_free", heap, blocks+5*64)
	page(b, 2, 128, 4, 4, 4)
	g.set("mi_page_s", "xthread_free", b, segment+memory+128|1)
	return g, heap, a, b
}

func TestMimalloc(t *testing.T) {
	g := newAllocGuest(t, "uk_mimalloc_malloc")
	stats := g.symbol("_mi_stats_main")
	if a := g.allocator(); a.Kind != "mimalloc" || a.Known || !strings.Contains(a.Notes[0], "heap at") || !strings.Contains(a.Notes[1], "not readable") {
		t.Errorf("%+v", a)
	}
	g.zero(stats, g.size("mi_stats_s"))
	g.set("mi_stats_s", "reserved.current", stats, 64<<20)
	g.set("mi_stats_s", "committed.current", stats, 8<<20)
	if a := g.allocator(); a.Known || !strings.Contains(a.Notes[1], "8388608 B committed of 67108864 B reserved") {
		t.Errorf("%+v", a)
	}
	g.set("mi_stats_s", "malloc.current", stats, 4711)
	if a := g.allocator(); !strings.Contains(a.Notes[1], "4711 B of it in use") {
		t.Errorf("%+v", a)
	}
}

func TestMimallocPages(t *testing.T) {
	g, _, _, _ := miGuest(t)
	sums(t, g.allocator(), "mimalloc", 4*64+3*128, 12*64+128, 128)
	// Heaps of other threads are not found: nothing is known of all.
	g.set("mi_stats_s", "threads.current", g.symbol("_mi_stats_main"), 2)
	if a := g.allocator(); a.Known || !strings.Contains(strings.Join(a.Notes, "\n"), "2 more threads have heaps of their own") {
		t.Errorf("%+v", a)
	}
}

func TestMimallocCorrupt(t *testing.T) {
	const blocks = heapAt + 0x1000
	for _, c := range []struct {
		damage func(g *allocGuest, heap, a, b uint64)
		want   string
		at     func(heap, a, b uint64) uint64
	}{
		{func(g *allocGuest, _, _, _ uint64) { g.u64(blocks+3*64, 0x4141414141414141) }, "which is no free block", func(_, _, _ uint64) uint64 { return blocks + 3*64 }},
		{func(g *allocGuest, _, _, _ uint64) { g.u64(blocks+3*64, blocks+64) }, "which is no free block", func(_, _, _ uint64) uint64 { return blocks + 3*64 }},
		{func(g *allocGuest, _, _, _ uint64) { g.u64(blocks+64, blocks+72) }, "which is no free block", func(_, _, _ uint64) uint64 { return blocks + 64 }},
		{func(g *allocGuest, _, _, _ uint64) { g.u64(blocks+64, 0) }, "5 blocks in use and 2 free, of 8", func(_, a, _ uint64) uint64 { return a }},
		{func(g *allocGuest, _, a, _ uint64) { g.set("mi_page_s", "used", a, 9) }, "9 blocks of 64 B in use, capacity 8", func(_, a, _ uint64) uint64 { return a }},
		{func(g *allocGuest, _, a, _ uint64) { g.set("mi_page_s", "next", a, a) }, "in a circle", func(_, a, _ uint64) uint64 { return a }},
		{func(g *allocGuest, _, a, b uint64) { g.set("mi_page_s", "prev", a, b) }, "before it, and should have", func(_, a, _ uint64) uint64 { return a }},
		{func(g *allocGuest, heap, _, _ uint64) { g.set("mi_heap_s", "page_count", heap, 3) }, "counts 3 pages, its queues hold 2", func(heap, _, _ uint64) uint64 { return heap }},
		{func(g *allocGuest, _, _, _ uint64) { g.u64(blocks+5*64, blocks+5*64) }, "freed by other threads", func(_, _, _ uint64) uint64 { return blocks + 5*64 }},
	} {
		g, heap, a, b := miGuest(t)
		c.damage(g, heap, a, b)
		got := g.allocator()
		if got.Known {
			t.Errorf("%s: sums are told: %+v", c.want, got)
		}
		corrupt(t, got, c.want, c.at(heap, a, b))
	}
}
