package unikraft

import (
	"context"
	"reflect"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target/arch"
)

// header writes a struct metadata_ifpages: size, num_pages, base.
func header(g *guest, at, size, pages, base uint64) {
	g.zero(at, 24)
	g.u64(at, size)
	g.u64(at+8, pages)
	g.u64(at+16, base)
}

func withHeaders(a *arch.Arch) *fakeImage {
	img := newImage(a)
	img.fields["metadata_ifpages"] = map[string][2]uint64{"size": {0, 8}, "num_pages": {8, 8}, "base": {16, 8}}
	img.sizes["metadata_ifpages"] = 24
	return img
}

func heapArea(t *testing.T, img *fakeImage, g *guest, first, last uint64) kernel.HeapArea {
	t.Helper()
	areas, err := open(t, img, g).HeapMap(context.Background(), first, last)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range areas {
		if a.First == firstPage {
			return a
		}
	}
	t.Fatalf("no area of the region: %+v", areas)
	return kernel.HeapArea{}
}

// Blocks: free ones by the lists, objects of malloc by their headers, a large
// one rounded up to a power of two, pages without a header joined, and one that
// was aligned, whose header is not at its start.
func TestHeapMap(t *testing.T) {
	page := func(n uint64) uint64 { return firstPage + n<<pageShift }
	g := buddyGuest(0, 1, 4, 5, 6, 7, 8, 9, 16, 17)
	for _, p := range []uint64{0, 1, 4, 5, 6, 7, 8, 9, 16, 17} {
		g.zero(page(p), 24)
	}
	header(g, page(0), 100, 1, page(0))
	header(g, page(1), 4064, 1, page(1))
	header(g, page(4), 9000, 3, page(4))   // takes four
	header(g, page(5), 50, 1, page(7))     // no header: it claims a page above itself
	header(g, page(6), 9999, 1, page(6))   // no header: more than its page
	header(g, page(17), 2000, 2, page(16)) // aligned to 8192 bytes
	got := heapArea(t, withHeaders(arch.X86_64), g, 0, ^uint64(0))
	want := []kernel.Block{
		{Addr: page(0), Size: 4096, Object: page(0) + 32, Asked: 100},
		{Addr: page(1), Size: 4096, Object: page(1) + 32, Asked: 4064},
		{Addr: page(2), Size: 8192, Use: kernel.BlockFree},
		{Addr: page(4), Size: 16384, Object: page(4) + 32, Asked: 9000},
		{Addr: page(8), Size: 8192, Joined: true},
		{Addr: page(10), Size: 8192, Use: kernel.BlockFree},
		{Addr: page(12), Size: 16384, Use: kernel.BlockFree},
		{Addr: page(16), Size: 8192, Asked: 2000},
		{Addr: page(18), Size: 8192, Use: kernel.BlockFree},
	}
	if len(got.Blocks) < len(want) || !reflect.DeepEqual(got.Blocks[:len(want)], want) {
		t.Errorf("%+v\nwant %+v", got.Blocks, want)
	}
	sum := uint64(0)
	for _, b := range got.Blocks {
		sum += b.Size
	}
	if sum != pages<<pageShift || got.Last != page(pages)-1 {
		t.Errorf("%d bytes in all", sum)
	}
	before, at, behind := got.At(page(1) + 4000)
	if at == nil || at.Addr != page(1) || before == nil || before.Addr != page(0) || behind == nil || behind.Use != kernel.BlockFree {
		t.Errorf("%+v %+v %+v", before, at, behind)
	}
}

// A page that the bitmap has as free and no list holds is told as such.
func TestHeapMapLost(t *testing.T) {
	g := buddyGuest(0, 1)
	g.u64(regionAddr+40, 1) // page 1 is free by the bitmap now
	got := heapArea(t, withHeaders(arch.X86_64), g, 0, ^uint64(0))
	if len(got.Blocks) < 2 || got.Blocks[1].Use != kernel.BlockLost || got.Blocks[1].Size != 4096 {
		t.Errorf("%+v", got.Blocks)
	}
	// Elsewhere nothing is read.
	if got := heapArea(t, withHeaders(arch.X86_64), g, 0x1000, 0x2000); got.Blocks != nil {
		t.Errorf("%+v", got.Blocks)
	}
}
