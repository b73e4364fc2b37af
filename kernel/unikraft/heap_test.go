package unikraft

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target/arch"
)

const (
	allocAddr  = 0x50000
	buddyAddr  = allocAddr + 32
	regionAddr = 0x60000
	firstPage  = 0x400000
	pages      = 64
)

// buddyGuest writes a buddy allocator of 64 pages of which the pages in used
// are allocated; the rest lies in free chunks as large as buddies merge to.
func buddyGuest(used ...uint64) *guest {
	g := newGuest()
	g.zero(0x1000, 0x200)
	g.zero(allocAddr, 32+72+8*24+8)
	g.u64(0x1040, allocAddr)
	g.u64(allocAddr+16, 0x400)
	taken := map[uint64]bool{}
	var bitmap uint64
	for _, p := range used {
		taken[p] = true
		bitmap |= 1 << p
	}
	g.zero(regionAddr, 64)
	g.u64(buddyAddr+72+8*24, regionAddr)
	g.u64(regionAddr+8, firstPage)
	g.u64(regionAddr+16, pages)
	g.u64(regionAddr+32, regionAddr+40)
	g.u64(regionAddr+40, bitmap)
	g.u64(buddyAddr, pages-uint64(len(used)))
	lists := make([][]uint64, 8)
	for p := uint64(0); p < pages; {
		if taken[p] {
			p++
			continue
		}
		level := 0
		for level < 7 && p%(2<<level) == 0 && free(taken, p, 2<<level) {
			level++
		}
		lists[level] = append(lists[level], firstPage+p<<pageShift)
		p += 1 << level
	}
	for level, list := range lists {
		tail := buddyAddr + 72 + 24*uint64(level)
		g.zero(tail, 24)
		at := buddyAddr + 8 + 8*uint64(level)
		for _, c := range list {
			g.zero(c, 24)
			g.u64(at, c)
			g.u64(c+8, at)
			g.u32(c+16, uint64(level))
			at = c
		}
		g.u64(at, tail)
	}
	return g
}

func free(taken map[uint64]bool, p, n uint64) bool {
	if p+n > pages {
		return false
	}
	for i := range n {
		if taken[p+i] {
			return false
		}
	}
	return true
}

func heapOf(t *testing.T, img *fakeImage, g *guest) *kernel.Heap {
	t.Helper()
	h, err := open(t, img, g).Heap(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBuddy(t *testing.T) {
	for _, used := range [][]uint64{nil, {0}, {0, 5, 6, 40}, {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 33, 35, 63}} {
		g := buddyGuest(used...)
		h := heapOf(t, newImage(arch.X86_64), g)
		if len(h.Allocators) != 1 || len(h.Notes) != 0 {
			t.Fatalf("%+v", h)
		}
		a := h.Allocators[0]
		if a.Kind != "buddy" || !a.Known || len(a.Corrupt) != 0 || len(a.Notes) != 0 || a.Symbol != "bbuddy_palloc" {
			t.Fatalf("used %v: %+v", used, a)
		}
		n := uint64(len(used))
		if a.Total != pages<<12 || a.Used != n<<12 || a.Free != (pages-n)<<12 {
			t.Errorf("used %v: %+v", used, a)
		}
		sum, top := 0, 0
		for level, n := range a.Chunks {
			sum += n << level
			top = max(top, level)
		}
		if sum != pages-len(used) || a.Largest != 1<<(top+12) || bits.OnesCount64(a.Largest) != 1 {
			t.Errorf("used %v: chunks %v, largest %d", used, a.Chunks, a.Largest)
		}
		// The bitmap lets all free lists be read at once, however long.
		if g.batches > 6 {
			t.Errorf("used %v: %d round trips", used, g.batches)
		}
	}
}

func TestBuddyCorrupt(t *testing.T) {
	used := []uint64{1, 3, 40}
	chunk0 := uint64(firstPage) // page 0, level 0, first in its list? see below
	for _, c := range []struct {
		name   string
		damage func(g *guest)
		want   string
		known  bool
	}{
		{"counter", func(g *guest) { g.u64(buddyAddr, 7) }, "nr_free_pages says 7", true},
		{"counter above total", func(g *guest) { g.u64(buddyAddr, 1<<40) }, "nr_free_pages is", false},
		{"bitmap", func(g *guest) { g.u64(regionAddr+40, 0) }, "bitmaps have 64", true},
		{"freed twice", func(g *guest) { g.u64(regionAddr+40, le64(g.eight(regionAddr+40))|1) }, "is allocated by the bitmap", true},
		{"circle", func(g *guest) { g.u64(chunk0, chunk0) }, "circle", true},
		{"wild link", func(g *guest) { g.u64(chunk0, 0xdeadbeef) }, "0xdeadbeef is not readable", true},
		{"null link", func(g *guest) { g.u64(buddyAddr+8, 0) }, "without its end marker", true},
		{"level", func(g *guest) { g.u32(chunk0+16, 3) }, "but has level 3", true},
		{"back link", func(g *guest) { g.u64(chunk0+8, 0x41414141) }, "the back link of the entry at 0x400000 is 0x41414141", true},
		{"foreign chunk", func(g *guest) {
			g.zero(0x900000, 24)
			g.u64(0x900000, le64(g.eight(buddyAddr+8)))
			g.u64(buddyAddr+8, 0x900000)
		}, "in no memory region", true},
		{"unaligned", func(g *guest) {
			g.zero(firstPage+0x80, 24)
			g.u64(firstPage+0x80, le64(g.eight(buddyAddr+8)))
			g.u64(buddyAddr+8, firstPage+0x80)
		}, "not aligned", true},
		{"region circle", func(g *guest) { g.u64(regionAddr, regionAddr) }, "memory regions: it runs in a circle", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := buddyGuest(used...)
			c.damage(g)
			a := heapOf(t, newImage(arch.X86_64), g).Allocators[0]
			if got := strings.Join(a.Corrupt, "; "); !strings.Contains(got, c.want) || a.Known != c.known {
				t.Errorf("known %v, corrupt %q; want %q", a.Known, got, c.want)
			}
		})
	}
	for name, damage := range map[string]func(g *guest){
		"state":      func(g *guest) { g.drop(buddyAddr+16, 8) },
		"bitmap":     func(g *guest) { g.drop(regionAddr+40, 8) },
		"huge":       func(g *guest) { g.u64(regionAddr+16, 1<<60) },
		"no region":  func(g *guest) { g.u64(regionAddr+16, 0) },
		"wild first": func(g *guest) { g.u64(buddyAddr+72+8*24, 0xeeee0000) },
	} {
		g := buddyGuest(used...)
		damage(g)
		if a := heapOf(t, newImage(arch.X86_64), g).Allocators[0]; a.Known || len(a.Notes)+len(a.Corrupt) == 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestOtherAllocators(t *testing.T) {
	img := newImage(arch.ARM64)
	img.fields["uk_alloc"]["_stats.cur_mem_use"] = [2]uint64{8, 8}
	g := buddyGuest(3)
	other := uint64(0x58000)
	g.zero(other, 32)
	g.u64(allocAddr+24, other)
	g.u64(other+16, 0x440)
	g.u64(other+8, 1234)
	h := heapOf(t, img, g)
	if len(h.Allocators) != 2 {
		t.Fatalf("%+v", h)
	}
	a := h.Allocators[1]
	if a.Kind != "unknown" || a.Known || a.Symbol != "pool_palloc" || a.Stats == nil || a.Stats.InUse != 1234 ||
		!strings.Contains(a.Notes[0], "unknown allocator (its function is pool_palloc)") {
		t.Errorf("%+v", a)
	}
	g.u64(other+24, allocAddr)
	if h := heapOf(t, img, g); len(h.Allocators) != 2 || len(h.Notes) != 1 || !strings.Contains(h.Notes[0], "circle") {
		t.Errorf("%+v", h)
	}
}

// lib/ukalloc gives an allocator that makes no pages a palloc of its own; its
// malloc tells which it is.
func TestAllocatorsByMalloc(t *testing.T) {
	for name, want := range map[string]string{
		"stack_malloc": "stack", "pool_malloc": "pool", "uk_allocregion_malloc": "region", "uk_tlsf_malloc": "tlsf", "tinymalloc": "unknown",
	} {
		img := newImage(arch.ARM64)
		img.fields["uk_alloc"]["malloc"] = [2]uint64{0, 8}
		img.symbols["uk_palloc_compat"], img.symbols[name] = [2]uint64{0x7700, 16}, [2]uint64{0x7800, 16}
		g := buddyGuest(3)
		other := uint64(0x58000)
		g.zero(other, 32)
		g.u64(allocAddr+24, other)
		g.u64(other+16, 0x7700)
		g.u64(other, 0x7800)
		h := heapOf(t, img, g)
		if len(h.Allocators) != 2 || h.Allocators[0].Kind != "buddy" {
			t.Fatalf("%+v", h)
		}
		if a := h.Allocators[1]; a.Kind != want || a.Symbol != name || a.Known || len(a.Notes) != 1 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestHeapAbsent(t *testing.T) {
	ctx := context.Background()
	img := newImage(arch.X86_64)
	img.without("uk_alloc", "next")
	if _, err := open(t, img, buddyGuest()).Heap(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Error(err)
	}
	img = newImage(arch.X86_64)
	img.without("uk_bbpalloc", "memr_head")
	if a := heapOf(t, img, buddyGuest()).Allocators[0]; a.Known || !strings.Contains(a.Notes[0], "memr_head") {
		t.Errorf("%+v", a)
	}
	delete(img.symbols, "_uk_alloc_head")
	if _, err := open(t, img, buddyGuest()).Heap(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Error(err)
	}
}

func TestLog(t *testing.T) {
	ctx := context.Background()
	img := newImage(arch.X86_64)
	g := newGuest()
	g.u64(0x1048, 0x7000)
	ring := func(written, size uint64, data string) {
		g.u64(0x7000, written)
		g.u32(0x7008, size)
		g.u32(0x700c, 0)
		g.put(0x7010, []byte(data)...)
	}
	for _, c := range []struct {
		written, size uint64
		data, want    string
	}{{0, 8, "--------", ""}, {3, 8, "abc-----", "abc"}, {8, 8, "abcdefgh", "abcdefgh"}, {11, 8, "ijkdefgh", "defghijk"}} {
		ring(c.written, c.size, c.data)
		if got, err := open(t, img, g).Log(ctx); err != nil || string(got) != c.want {
			t.Errorf("%d of %d: %q %v", c.written, c.size, got, err)
		}
	}
	for _, size := range []uint64{0, 1 << 30} {
		ring(1, size, "")
		if _, err := open(t, img, g).Log(ctx); err == nil {
			t.Errorf("a ring of %d bytes is read", size)
		}
	}
	ring(100, 64, "short")
	if _, err := open(t, img, g).Log(ctx); err == nil {
		t.Error("an unreadable ring is read")
	}
	delete(img.symbols, "uk_console_ring")
	if _, err := open(t, img, g).Log(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Error(err)
	}
}

func TestUptime(t *testing.T) {
	ctx := context.Background()
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	if up, err := open(t, img, g).Uptime(ctx); err != nil || up.Nanoseconds != 5_000_000 || !up.AtLeast {
		t.Errorf("%+v %v", up, err)
	}
	g.u64(schedAddr+176, 0)
	if _, err := open(t, img, g).Uptime(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Error(err)
	}
	img.without("schedcoop", "ts_prev_switch")
	if _, err := open(t, img, g).Uptime(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Error(err)
	}
}
