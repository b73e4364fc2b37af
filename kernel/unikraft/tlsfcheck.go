package unikraft

import (
	"math/bits"

	"github.com/ukdbg/ukdbg/kernel"
)

// tlsfCheck checks TLSF's free lists and bitmaps against the blocks.
type tlsfCheck struct {
	t     *tlsf
	out   *kernel.Allocator
	whole bool // all blocks are known
	known map[uint64]*tlsfBlock
	list  map[uint64]bool // free blocks that a list holds
}

func (c *tlsfCheck) run() {
	c.known, c.list = map[uint64]*tlsfBlock{}, map[uint64]bool{}
	for _, a := range c.t.stretches {
		for i := range a.blocks {
			c.known[a.blocks[i].addr] = &a.blocks[i]
		}
	}
	t, l := c.t, &c.t.layout
	fl := l.flBitmap.value(t.state)
	ok := true
	for row := range t.rows {
		sl := field{off: l.slBitmap.off + 4*row, size: 4, ok: true}.value(t.state)
		at := t.addr + l.slBitmap.off + 4*row
		if fl>>row&1 != 0 != (sl != 0) {
			damaged(c.out, t.addr+l.flBitmap.off, "fl_bitmap %#x has bit %d %s, sl_bitmap[%d] is %#x", fl, row, setOrClear(fl>>row&1 != 0), row, sl)
		}
		for column := range t.columns {
			head := field{off: l.matrix.off + 8*(row*t.columns+column), size: 8, ok: true}
			first := head.value(t.state)
			if bit := sl>>column&1 != 0; bit != (first != 0) {
				damaged(c.out, at, "sl_bitmap[%d] has bit %d %s, the free list [%d][%d] begins with %#x", row, column, setOrClear(bit), row, column, first)
			}
			ok = c.follow(row, column, t.addr+head.off, first) && ok
		}
	}
	if !c.whole || !ok {
		return
	}
	for _, a := range t.stretches {
		for i := range a.blocks {
			if b := &a.blocks[i]; b.free() && !c.list[b.addr] {
				damaged(c.out, b.addr, "the free block at %#x of %d B is in no free list", b.addr, b.size)
			}
		}
	}
}

// follow follows one free list; false if it is broken.
func (c *tlsfCheck) follow(row, column, from, at uint64) bool {
	before := uint64(0)
	for at != 0 {
		b := c.known[at]
		switch {
		case b == nil && (c.whole || !c.inArea(at)):
			damaged(c.out, from, "free list [%d][%d]: the entry at %#x leads to %#x, where no block begins", row, column, from, at)
			return false
		case b == nil:
			return false // behind where the blocks could be followed
		case !b.free():
			damaged(c.out, from, "free list [%d][%d]: the entry at %#x leads to the block at %#x, which is used by its header", row, column, from, at)
			return false
		case c.list[at]:
			damaged(c.out, from, "free list [%d][%d]: the entry at %#x leads to %#x, which is in a list already (a circle, or two lists grown together)", row, column, from, at)
			return false
		}
		if r, col := c.class(b.size); r != row || col != column {
			damaged(c.out, at, "free list [%d][%d]: the block at %#x of %d B belongs to [%d][%d]", row, column, at, b.size, r, col)
		}
		if b.prev != before {
			damaged(c.out, at, "free list [%d][%d]: the back link of the block at %#x is %#x and should be %#x", row, column, at, b.prev, before)
		}
		c.list[at] = true
		before, from, at = at, at, b.next
	}
	return true
}

func (c *tlsfCheck) inArea(addr uint64) bool {
	for _, a := range c.t.stretches {
		if addr >= a.first && addr <= a.end {
			return true
		}
	}
	return false
}

// class is where a free block of a size belongs: below 128 B evenly into the
// first row, then a row for each power of two, evenly divided (mapping_insert of
// TLSF 2.4.6; the numbers of rows and columns are this image's).
func (c *tlsfCheck) class(size uint64) (row, column uint64) {
	const small, offset = 128, 6
	if size < small {
		return 0, size / max(1, small/c.t.columns)
	}
	top := uint64(bits.Len64(size) - 1)
	return top - offset, size>>(top-uint64(bits.TrailingZeros64(c.t.columns))) - c.t.columns
}

func setOrClear(set bool) string {
	if set {
		return "set"
	}
	return "clear"
}
