package unikraft

import (
	"context"
	"os/exec"
	"path/filepath"
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

// piece is a block of a heap that a test lays out.
type piece struct {
	size uint64
	free bool
}

// FuzzAllocators overwrites words of each allocator's heap: whatever they hold,
// sums add up and blocks lie in their stretch, in order.
func FuzzAllocators(f *testing.F) {
	for kind := range byte(5) {
		f.Add(kind, []byte{})
		f.Add(kind, []byte{2, 1, 1, 0, 1, 4, 0xff, 0, 0, 9, 3, 8})
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		if len(data) > 1024 {
			return
		}
		var g *allocGuest
		bases := []uint64{heapAt, heapAt + 64}
		switch kind % 5 {
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
		case 4:
			mi, heap, a, b := miGuest(t)
			g, bases = mi, append(bases, heap, heap+64, a, b, heapAt+0x1000, heapAt+0x1140)
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
