package unikraft

import (
	"math/bits"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
)

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
