package unikraft

import (
	"math/bits"

	"github.com/ukdbg/ukdbg/kernel"
)

// headerLayout is struct metadata_ifpages, which lib/ukalloc puts before an
// object that was cut from whole pages (uk_malloc_ifpages,
// uk_posix_memalign_ifpages).
type headerLayout struct {
	bytes             uint64
	size, pages, base field
}

func newHeaderLayout(img Image) headerLayout {
	l := &layouter{img: img}
	h := headerLayout{
		bytes: l.size("metadata_ifpages"),
		size:  l.optional("metadata_ifpages", "size"),
		pages: l.optional("metadata_ifpages", "num_pages"),
		base:  l.optional("metadata_ifpages", "base"),
	}
	if !h.size.ok || !h.pages.ok || !h.base.ok {
		h.bytes = 0
	}
	return h
}

const (
	// maxHeaders bounds the pages whose headers are read for one window: 1 GiB.
	maxHeaders = 1 << 18
	// aroundPages is how far beyond a window blocks are looked for, so that one
	// that reaches into it, and its neighbours, are found.
	aroundPages = 1024
)

// span returns the pages of a region around the window; ok is false if the
// window is elsewhere.
func (b *buddy) span(r *region) (from, to uint64, ok bool) {
	last := r.first + r.pages<<pageShift - 1
	if !b.window.holds(r.first, last) {
		return 0, 0, false
	}
	if b.window.first > r.first {
		from = (b.window.first - r.first) >> pageShift
		from -= min(from, aroundPages)
	}
	to = r.pages
	if b.window.last < last {
		to = min(to, (b.window.last-r.first)>>pageShift+1+aroundPages)
	}
	return from, min(to, from+maxHeaders), true
}

// wantHeaders asks for what may be the header of each allocated page.
func (b *buddy) wantHeaders(f *fetcher, r *region) {
	from, to, ok := b.span(r)
	if !ok || b.layout.header.bytes == 0 {
		return
	}
	for p := from; p < to; p++ {
		if r.allocated(p) {
			f.want(r.first+p<<pageShift, int(b.layout.header.bytes))
		}
	}
}

func (b *buddy) areas(f *fetcher) []kernel.HeapArea {
	free := map[uint64]int{}
	for level, w := range b.levels {
		for _, addr := range w.nodes {
			free[addr] = level
		}
	}
	out := []kernel.HeapArea{ownRecords(b.addr, b.layout.size)}
	for i := range b.maps {
		r := &b.maps[i]
		if m, _, _ := f.get(r.addr, int(b.layout.regionSize)); m != nil {
			out = append(out, ownRecords(r.addr, b.layout.regionSize), ownRecords(b.layout.bitmap.value(m), (r.pages+7)/8))
		}
		if r.bitmap == nil || r.first+(r.pages<<pageShift-1) < r.first {
			continue
		}
		area := kernel.HeapArea{First: r.first, Last: r.first + (r.pages<<pageShift - 1)}
		if from, to, ok := b.span(r); ok {
			area.Blocks = b.blocks(f, r, from, to, free)
			if b.layout.header.bytes == 0 {
				area.Notes = append(area.Notes, "the image does not describe struct metadata_ifpages: allocations that follow each other are told as one")
			}
		}
		out = append(out, area)
	}
	return out
}

// blocks cuts pages into blocks: free ones by the lists, allocated ones by the
// headers of malloc; pages without either are told as far as they go.
func (b *buddy) blocks(f *fetcher, r *region, from, to uint64, free map[uint64]int) []kernel.Block {
	var out []kernel.Block
	add := func(page, n uint64, use kernel.BlockUse) *kernel.Block {
		out = append(out, kernel.Block{Addr: r.first + page<<pageShift, Size: n << pageShift, Use: use})
		return &out[len(out)-1]
	}
	for p := from; p < to; {
		level, listed := free[r.first+p<<pageShift]
		switch {
		case !r.allocated(p) && listed && level < 52 && 1<<level <= r.pages-p:
			add(p, 1<<level, kernel.BlockFree)
			p += 1 << level
		case !r.allocated(p):
			// Free by the bitmap, in no list: the middle of a chunk at the edge of
			// what is looked at, or a contradiction.
			n := uint64(1)
			for p+n < to && !r.allocated(p+n) {
				if _, ok := free[r.first+(p+n)<<pageShift]; ok {
					break
				}
				n++
			}
			use := kernel.BlockLost
			if p == from && from > 0 {
				use = kernel.BlockFree
			}
			add(p, n, use)
			p += n
		default:
			end := p
			for end < to && r.allocated(end) {
				end++
			}
			out = append(out, b.allocated(f, r, p, end)...)
			p = end
		}
	}
	return out
}

// allocated cuts a run of allocated pages. The buddy allocator rounds the pages
// of an allocation up to a power of two, at which it lies aligned.
func (b *buddy) allocated(f *fetcher, r *region, from, to uint64) []kernel.Block {
	h := &b.layout.header
	var found []kernel.Block
	for p := from; p < to && h.bytes > 0; p++ {
		at := r.first + p<<pageShift
		m, _, _ := f.get(at, int(h.bytes))
		if m == nil {
			continue
		}
		base, n, size := h.base.value(m), h.pages.value(m), h.size.value(m)
		if base > at || base < r.first || base&(1<<pageShift-1) != 0 || n == 0 || n > r.pages || at-base >= n<<pageShift || size > n<<pageShift {
			continue
		}
		whole := uint64(1) << bits.Len64(n-1)
		if (base>>pageShift)&(whole-1) != 0 || (base-r.first)>>pageShift < from || (base-r.first)>>pageShift+n > r.pages {
			continue
		}
		bl := kernel.Block{Addr: base, Size: whole << pageShift, Use: kernel.BlockUsed, Asked: size}
		if base == at {
			// The object begins at the next power of two behind the header.
			bl.Object = at + 1<<bits.Len64(h.bytes-1)
		}
		if over := (base-r.first)>>pageShift + whole; over > r.pages {
			bl.Size = n << pageShift
		}
		if k := len(found); k > 0 && found[k-1].Last() >= bl.Addr {
			continue // data that looks like a header
		}
		found = append(found, bl)
		if next := (base-r.first)>>pageShift + whole; next > p+1 {
			p = next - 1
		}
	}
	// What no header claims.
	var out []kernel.Block
	at := r.first + from<<pageShift
	gap := func(end uint64) {
		if at < end {
			out = append(out, kernel.Block{Addr: at, Size: end - at, Use: kernel.BlockUsed, Joined: true})
		}
	}
	for _, bl := range found {
		gap(bl.Addr)
		out = append(out, bl)
		at = bl.Last() + 1
	}
	gap(r.first + to<<pageShift)
	return out
}

// ownRecords is a stretch an allocator keeps its records in.
func ownRecords(addr, size uint64) kernel.HeapArea {
	return kernel.HeapArea{First: addr, Last: addr + (size - 1), Blocks: []kernel.Block{{Addr: addr, Size: size, Use: kernel.BlockMeta}}}
}
