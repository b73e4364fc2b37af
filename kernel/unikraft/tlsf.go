package unikraft

import (
	"fmt"
	"math/bits"

	"github.com/ukdbg/ukdbg/kernel"
)

const (
	tlsfSignature = 0x2a59fa59
	// Bits of a block's size (TLSF 2.4.6, src/tlsf.c): the block is free, the one
	// before it is; sizes have 32 bits, the low three are flags.
	tlsfFree     = 1
	tlsfPrevFree = 2
	tlsfSizeMask = 0xffffffff &^ 7

	maxTLSFAreas  = 64
	maxTLSFBlocks = 1 << 20
)

// tlsfLayout is TLSF 2.4.6's control block, behind struct uk_alloc, its area
// descriptors and its block headers. A header is what lies before the member ptr;
// a block's size does not count it.
type tlsfLayout struct {
	size, stretchesize, headSize uint64
	signature, areaHead          field
	flBitmap, slBitmap           field
	matrix                       field
	areaEnd, areaNext            field
	prevHdr, length, payload     field
	prev, next                   field
}

func openTLSF(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	t := &tlsf{addr: addr + s.layout.size, window: s.window, layout: tlsfLayout{
		size:         l.size("TLSF_struct"),
		stretchesize: l.size("area_info_struct"),
		headSize:     l.size("bhdr_struct"),
		signature:    l.required("TLSF_struct", "tlsf_signature"),
		areaHead:     l.required("TLSF_struct", "area_head"),
		flBitmap:     l.required("TLSF_struct", "fl_bitmap"),
		slBitmap:     l.required("TLSF_struct", "sl_bitmap"),
		matrix:       l.required("TLSF_struct", "matrix"),
		areaEnd:      l.required("area_info_struct", "end"),
		areaNext:     l.required("area_info_struct", "next"),
		prevHdr:      l.required("bhdr_struct", "prev_hdr"),
		length:       l.required("bhdr_struct", "size"),
		payload:      l.required("bhdr_struct", "ptr"),
		prev:         l.required("bhdr_struct", "ptr.free_ptr.prev"),
		next:         l.required("bhdr_struct", "ptr.free_ptr.next"),
	}}
	ly := &t.layout
	if len(l.missing) == 0 {
		rows := ly.slBitmap.size / 4
		columns := uint64(0)
		if rows > 0 {
			columns = ly.matrix.size / (8 * rows)
		}
		switch {
		case ly.size == 0 || ly.stretchesize == 0 || ly.headSize == 0 || ly.payload.off < 16 || ly.payload.off >= ly.headSize:
			l.missing = append(l.missing, "struct TLSF_struct, area_info_struct or bhdr_struct has no usable size")
		case rows > 32 || columns > 32 || bits.OnesCount64(columns) != 1 || ly.matrix.size != 8*rows*columns:
			l.missing = append(l.missing, "the sizes of TLSF_struct's sl_bitmap and matrix do not fit each other")
		default:
			t.rows, t.columns = rows, columns
		}
	}
	return t, l.missing
}

// tlsf is one TLSF allocator during a survey.
type tlsf struct {
	layout        tlsfLayout
	addr          uint64
	rows, columns uint64 // first and second level
	state         []byte
	err           error
	window        *window

	list      *walk
	stretches []*tlsfArea
}

// tlsfBlock is a block by its header. Prev and next are those of a free one.
type tlsfBlock struct {
	addr, size, flags, prevHdr uint64
	prev, next                 uint64
}

func (b *tlsfBlock) free() bool { return b.flags&tlsfFree != 0 }

// tlsfArea is a stretch of blocks that follow each other.
type tlsfArea struct {
	first, end uint64 // of the headers of the first and of the last block
	at         uint64
	pages      pageReader
	blocks     []tlsfBlock
	done       bool
	// broken is what ended the walk before its end, bad the header that holds it.
	broken string
	bad    uint64
}

func (t *tlsf) step(f *fetcher) {
	l := &t.layout
	if t.state == nil && t.err == nil {
		state, ok, err := f.get(t.addr, int(l.size))
		if t.err = err; !ok || err != nil {
			return
		}
		t.state = state
		if l.signature.value(state) == tlsfSignature {
			t.list = newWalk("list of areas", l.areaHead.value(state), l.areaNext, l.stretchesize, maxTLSFAreas)
		}
	}
	if t.list == nil {
		return
	}
	t.list.step(f)
	for i, addr := range t.list.nodes {
		if i == len(t.stretches) {
			info, _, _ := f.get(addr, int(l.stretchesize))
			a := &tlsfArea{first: addr - l.payload.off, end: l.areaEnd.value(info)}
			a.at, a.pages.last = a.first, a.end
			if a.first > addr || a.end <= a.first || a.end+l.payload.off < a.end || (a.end-a.first) > 1<<40 {
				a.done, a.broken, a.bad = true, fmt.Sprintf("the area at %#x claims to end at %#x", a.first, a.end), addr
			}
			t.stretches = append(t.stretches, a)
		}
		t.stretches[i].step(f, l)
	}
}

// step follows the blocks.
func (a *tlsfArea) step(f *fetcher, l *tlsfLayout) {
	for !a.done {
		size := l.headSize
		if a.at == a.end {
			size = l.payload.off
		}
		b, ok, err := a.pages.get(f, a.at, int(size))
		if !ok {
			return
		}
		if err != nil {
			a.stop(a.at, "the header at %#x cannot be read: %v", a.at, err)
			return
		}
		raw := l.length.value(b)
		bl := tlsfBlock{addr: a.at, size: raw & tlsfSizeMask, flags: raw & 7, prevHdr: l.prevHdr.value(b)}
		if bl.free() && a.at != a.end {
			bl.prev, bl.next = l.prev.value(b), l.next.value(b)
		}
		a.blocks = append(a.blocks, bl)
		following := a.at + l.payload.off + bl.size
		switch {
		case a.at == a.end:
			if raw&^7 != 0 {
				a.stop(a.at, "the header at %#x, the last of the area, has size %#x and should have 0", a.at, raw)
			}
			a.done = true
		case raw&^uint64(tlsfSizeMask|7) != 0 || following > a.end || bl.size == 0 || bl.flags&4 != 0:
			a.blocks = a.blocks[:len(a.blocks)-1]
			a.stop(a.at, "the header at %#x has size %#x, which does not meet a next block before the area's end at %#x", a.at, raw, a.end)
		case len(a.blocks) >= maxTLSFBlocks:
			a.stop(0, "the area at %#x has more blocks than are read", a.first)
		}
		a.at = following
	}
}

func (a *tlsfArea) stop(at uint64, format string, args ...any) {
	a.done, a.bad, a.broken = true, at, fmt.Sprintf(format, args...)
}

func (t *tlsf) finish(out *kernel.Allocator, _ *fetcher) {
	switch {
	case t.state == nil:
		out.Notes = append(out.Notes, fmt.Sprintf("its control block at %#x is not readable: %v", t.addr, t.err))
		return
	case t.list == nil:
		damaged(out, t.addr, "the control block's signature is %#x and should be %#x", t.layout.signature.value(t.state), tlsfSignature)
		return
	}
	brokenList(out, t.list)
	whole := t.list.complete
	for _, a := range t.stretches {
		if a.broken != "" {
			damaged(out, a.bad, "%s", a.broken)
			whole = false
		}
		a.checkFlags(out)
	}
	c := tlsfCheck{t: t, out: out, whole: whole}
	c.run()
	if !whole {
		out.Notes = append(out.Notes, "the blocks could not be followed to the end: the sums are not known")
		return
	}
	out.Known = true
	for _, a := range t.stretches {
		out.Total += a.end + t.layout.payload.off - a.first
		for i := range a.blocks {
			if b := &a.blocks[i]; b.free() {
				out.Free += b.size
				out.Largest = max(out.Largest, b.size)
			}
		}
	}
	out.Used = out.Total - out.Free
}

// checkFlags checks what each header says of the block before it.
func (a *tlsfArea) checkFlags(out *kernel.Allocator) {
	for i := 1; i < len(a.blocks); i++ {
		before, b := &a.blocks[i-1], &a.blocks[i]
		switch says := b.flags&tlsfPrevFree != 0; {
		case says != before.free():
			damaged(out, b.addr, "the header at %#x has the block before it, at %#x, as %s, its own header says %s", b.addr, before.addr, freeOrUsed(says), freeOrUsed(before.free()))
		case says && b.prevHdr != before.addr:
			damaged(out, b.addr, "the header at %#x has the block before it at %#x, it is at %#x", b.addr, b.prevHdr, before.addr)
		}
	}
}

func freeOrUsed(free bool) string {
	if free {
		return "free"
	}
	return "used"
}

func (t *tlsf) areas(*fetcher) []kernel.HeapArea {
	l := &t.layout
	out := []kernel.HeapArea{ownRecords(t.addr, l.size)}
	for _, a := range t.stretches {
		if a.end <= a.first || a.end+l.payload.off < a.end {
			continue
		}
		area := kernel.HeapArea{First: a.first, Last: a.end + (l.payload.off - 1)}
		if t.window.holds(area.First, area.Last) {
			area.Blocks = a.list(l)
			if a.broken != "" {
				area.Notes = append(area.Notes, a.broken)
			}
		}
		out = append(out, area)
	}
	return out
}

// list makes blocks of the headers; the first holds the area's descriptor.
func (a *tlsfArea) list(l *tlsfLayout) []kernel.Block {
	out := make([]kernel.Block, 0, len(a.blocks)+1)
	at := a.first
	for i := range a.blocks {
		b := &a.blocks[i]
		bl := kernel.Block{Addr: b.addr, Size: l.payload.off + b.size, Use: kernel.BlockUsed}
		switch {
		case i == 0 || b.addr == a.end:
			bl.Use, bl.Size = kernel.BlockMeta, min(bl.Size, a.end+l.payload.off-b.addr)
		case b.free():
			bl.Use = kernel.BlockFree
		default:
			bl.Object = b.addr + l.payload.off
		}
		out = append(out, bl)
		at = bl.Last() + 1
	}
	if end := a.end + l.payload.off; at < end {
		out = append(out, kernel.Block{Addr: at, Size: end - at, Use: kernel.BlockLost})
	}
	return out
}
