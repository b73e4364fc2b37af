package unikraft

import (
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/kernel"
)

// tinyLayout is lib-tinyalloc's struct tinyalloc, in uk_alloc's priv, the Heap it
// points to and the array of struct Block behind that: three lists of blocks, of
// free, used and not yet used (fresh) ones. The memory is behind the array.
type tinyLayout struct {
	size, heapSize, blockSize     uint64
	heap, limit, maxBlocks        field
	free, used, fresh, top, array field
	addr, next, length            field
}

func openTinyalloc(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	t := &tinyalloc{addr: addr + s.layout.priv.off, window: s.window, layout: tinyLayout{
		size:      l.size("tinyalloc"),
		heapSize:  l.size("Heap"),
		blockSize: l.size("Block"),
		heap:      l.required("tinyalloc", "heap"),
		limit:     l.required("tinyalloc", "heap_limit"),
		maxBlocks: l.required("tinyalloc", "heap_max_blocks"),
		free:      l.required("Heap", "free"),
		used:      l.required("Heap", "used"),
		fresh:     l.required("Heap", "fresh"),
		top:       l.required("Heap", "top"),
		array:     l.required("Heap", "blocks"),
		addr:      l.required("Block", "addr"),
		next:      l.required("Block", "next"),
		length:    l.required("Block", "size"),
	}}
	if ly := &t.layout; len(l.missing) == 0 && (ly.size == 0 || ly.heapSize == 0 || ly.blockSize == 0) {
		l.missing = append(l.missing, "struct tinyalloc, Heap or Block has no usable size")
	}
	return t, l.missing
}

// maxTinyBlocks bounds the array of blocks: 6 MiB of records.
const maxTinyBlocks = 1 << 18

// tinyalloc is one during a survey.
type tinyalloc struct {
	layout             tinyLayout
	addr               uint64
	state, heap, array []byte
	err                error
	window             *window

	wrong        string
	start, top   uint64 // of the memory, and the end of what was dealt out
	limit        uint64
	first, count uint64 // of the array
	blocks       []kernel.Block
	checks       []tinyFault
	fresh        int
}

// tinyFault is what contradicts itself, and the record that holds it.
type tinyFault struct {
	at   uint64
	text string
}

func (t *tinyalloc) step(f *fetcher) {
	l := &t.layout
	read := func(to *[]byte, addr uint64, size uint64) bool {
		if *to == nil && t.err == nil {
			*to, _, t.err = f.get(addr, int(size))
		}
		return *to != nil
	}
	if t.wrong != "" || t.blocks != nil || !read(&t.state, t.addr, l.size) || !read(&t.heap, l.heap.value(t.state), l.heapSize) {
		return
	}
	t.first, t.count = l.array.value(t.heap), l.maxBlocks.value(t.state)
	t.limit, t.top = l.limit.value(t.state), l.top.value(t.heap)
	if t.count > maxTinyBlocks {
		t.wrong = fmt.Sprintf("heap_max_blocks is %d", t.count)
		return
	}
	t.start = t.first + t.count*l.blockSize
	if t.start < t.first || t.top < t.start || t.limit < t.top {
		t.wrong = fmt.Sprintf("its memory begins at %#x, top is %#x and heap_limit %#x", t.start, t.top, t.limit)
		return
	}
	if read(&t.array, t.first, t.count*l.blockSize) {
		t.survey()
	}
}

// survey follows the three lists in the array and puts the blocks in order.
func (t *tinyalloc) survey() {
	l := &t.layout
	t.blocks = []kernel.Block{}
	seen := make([]bool, t.count)
	records := map[uint64]uint64{} // of blocks, by their address
	fault := func(at uint64, format string, args ...any) {
		t.checks = append(t.checks, tinyFault{at, fmt.Sprintf(format, args...)})
	}
	whole := true
	for _, list := range []struct {
		name string
		head field
		use  kernel.BlockUse
	}{{"free", l.free, kernel.BlockFree}, {"used", l.used, kernel.BlockUsed}, {"fresh", l.fresh, kernel.BlockMeta}} {
		from, at := l.heap.value(t.state)+list.head.off, list.head.value(t.heap)
		for at != 0 {
			i := (at - t.first) / l.blockSize
			if at < t.first || i >= t.count || (at-t.first)%l.blockSize != 0 {
				fault(from, "%s list: the entry at %#x leads to %#x, which is not in the array of blocks", list.name, from, at)
				whole = false
				break
			}
			if seen[i] {
				fault(from, "%s list: the entry at %#x leads to %#x, which is in a list already (a circle, or two lists grown together)", list.name, from, at)
				whole = false
				break
			}
			seen[i] = true
			rec := t.array[i*l.blockSize : (i+1)*l.blockSize]
			if list.use == kernel.BlockMeta {
				t.fresh++
			} else if b := (kernel.Block{Addr: l.addr.value(rec), Size: l.length.value(rec), Use: list.use}); b.Size == 0 || b.Addr < t.start || b.Addr >= t.top || b.Size > t.top-b.Addr {
				fault(at, "%s list: the record at %#x has %d B at %#x, not in %#x to %#x", list.name, at, b.Size, b.Addr, t.start, t.top)
				whole = false
			} else {
				if b.Use == kernel.BlockUsed {
					b.Object = b.Addr
				}
				t.blocks = append(t.blocks, b)
				records[b.Addr] = at
			}
			from, at = at, l.next.value(rec)
		}
	}
	n := uint64(0)
	for _, s := range seen {
		if s {
			n++
		}
	}
	if whole && n != t.count {
		fault(0, "the lists hold %d blocks of %d", n, t.count)
	}
	slices.SortFunc(t.blocks, func(a, b kernel.Block) int {
		if a.Addr < b.Addr {
			return -1
		}
		return 1
	})
	t.tile(records, whole, fault)
}

// tile checks that the blocks fill the memory up to top, each one ending where
// the next begins.
func (t *tinyalloc) tile(records map[uint64]uint64, whole bool, fault func(uint64, string, ...any)) {
	var out []kernel.Block
	at := t.start
	for _, b := range t.blocks {
		switch {
		case b.Addr < at:
			fault(records[b.Addr], "the block at %#x begins before the one before it ends, at %#x", b.Addr, at)
			continue // the first one stays
		case b.Addr > at:
			if whole {
				fault(records[b.Addr], "no block has %#x to %#x", at, b.Addr-1)
			}
			out = append(out, kernel.Block{Addr: at, Size: b.Addr - at, Use: kernel.BlockLost})
		}
		out = append(out, b)
		at = b.Last() + 1
	}
	if at < t.top {
		if whole {
			fault(0, "no block has %#x to %#x", at, t.top-1)
		}
		out = append(out, kernel.Block{Addr: at, Size: t.top - at, Use: kernel.BlockLost})
	}
	if t.top < t.limit {
		out = append(out, kernel.Block{Addr: t.top, Size: t.limit - t.top, Use: kernel.BlockFree})
	}
	t.blocks = out
	if out == nil {
		t.blocks = []kernel.Block{}
	}
}

func (t *tinyalloc) finish(out *kernel.Allocator, _ *fetcher) {
	if t.wrong != "" {
		damaged(out, t.addr, "%s", t.wrong)
		return
	}
	if t.blocks == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("its state at %#x is not readable: %v", t.addr, t.err))
		return
	}
	for _, c := range t.checks {
		damaged(out, c.at, "%s", c.text)
	}
	lost := false
	out.Total = t.limit - t.start
	for i, b := range t.blocks {
		size := b.Size
		switch b.Use {
		case kernel.BlockLost:
			lost = true
			continue
		case kernel.BlockFree:
			out.Free += b.Size
			if i > 0 && b.Addr == t.top && t.blocks[i-1].Use == kernel.BlockFree {
				size += t.blocks[i-1].Size // a free block at the top grows
			}
			out.Largest = max(out.Largest, size)
		}
	}
	if lost || len(t.checks) > 0 {
		out.Total, out.Free, out.Largest = 0, 0, 0
		return
	}
	out.Known, out.Used = true, out.Total-out.Free
	if t.fresh == 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("all %d block records are in use: what was never dealt out cannot be", t.count))
	}
}

func (t *tinyalloc) areas(*fetcher) []kernel.HeapArea {
	out := []kernel.HeapArea{ownRecords(t.addr, t.layout.size)}
	if t.heap != nil {
		out = append(out, ownRecords(t.layout.heap.value(t.state), t.layout.heapSize))
	}
	if t.blocks == nil {
		return out
	}
	if t.start > t.first {
		out = append(out, ownRecords(t.first, t.start-t.first))
	}
	if t.limit > t.start {
		area := kernel.HeapArea{First: t.start, Last: t.limit - 1}
		if t.window.holds(area.First, area.Last) {
			area.Blocks = t.blocks
		}
		out = append(out, area)
	}
	return out
}
