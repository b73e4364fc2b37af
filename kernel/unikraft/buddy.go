package unikraft

import (
	"fmt"
	"math/bits"

	"github.com/ukdbg/ukdbg/kernel"
)

const (
	// pageShift is Unikraft's __PAGE_SHIFT on x86_64 and arm64.
	pageShift = 12

	maxRegions = 256
	maxLevels  = 64
	maxChunks  = 1 << 18
	// maxBitmap bounds the bitmap of one region: 16 MiB stand for 512 GiB.
	maxBitmap = 16 << 20
	// maxAhead bounds how many chunk headers are read ahead.
	maxAhead = 1 << 15
)

// buddyLayout is struct uk_bbpalloc and its parts
// (lib/ukallocbbuddy/bbuddy.c).
type buddyLayout struct {
	size, chunkSize, regionSize uint64
	freePages, heads, tails     field
	regions                     field
	chunkNext, chunkLevel       field
	chunkPrev                   field
	regionNext, first, pages    field
	bitmap                      field
	header                      headerLayout
	missing                     []string
}

func newBuddyLayout(img Image) buddyLayout {
	l := &layouter{img: img}
	b := buddyLayout{
		size:       l.size("uk_bbpalloc"),
		chunkSize:  l.size("chunk_head_st"),
		regionSize: l.size("uk_bbpalloc_memr"),
		freePages:  l.required("uk_bbpalloc", "nr_free_pages"),
		heads:      l.required("uk_bbpalloc", "free_head"),
		tails:      l.optional("uk_bbpalloc", "free_tail"),
		regions:    l.required("uk_bbpalloc", "memr_head"),
		chunkNext:  l.required("chunk_head_st", "next"),
		chunkPrev:  l.optional("chunk_head_st", "pprev"),
		chunkLevel: l.required("chunk_head_st", "level"),
		regionNext: l.required("uk_bbpalloc_memr", "next"),
		first:      l.required("uk_bbpalloc_memr", "first_page"),
		pages:      l.required("uk_bbpalloc_memr", "nr_pages"),
		bitmap:     l.required("uk_bbpalloc_memr", "mm_alloc_bitmap"),
		header:     newHeaderLayout(img),
	}
	if b.size == 0 || b.chunkSize == 0 || b.regionSize == 0 {
		l.missing = append(l.missing, "struct uk_bbpalloc, chunk_head_st or uk_bbpalloc_memr is unknown")
	}
	b.missing = l.missing
	return b
}

// buddy is one buddy allocator during a survey.
type buddy struct {
	layout  buddyLayout
	addr    uint64 // of struct uk_bbpalloc
	state   []byte
	err     error
	levels  []*walk
	regions *walk
	maps    []region
	ahead   int
	window  *window
}

// region is a piece of memory with its bitmap of allocated pages.
type region struct {
	addr, first, pages uint64
	bitmap             []byte
	err                error
	done               bool
}

func (b *buddy) step(f *fetcher) {
	l := &b.layout
	if b.state == nil && b.err == nil {
		state, ok, err := f.get(b.addr, int(l.size))
		if b.err = err; !ok || err != nil {
			return
		}
		b.state = state
		b.open(f)
	}
	if b.state == nil {
		return
	}
	b.regions.step(f)
	b.stepRegions(f)
	for _, w := range b.levels {
		w.step(f)
	}
}

// open starts the walks of the free lists and of the regions.
func (b *buddy) open(f *fetcher) {
	l := &b.layout
	b.regions = newWalk("list of memory regions", l.regions.value(b.state), l.regionNext, l.regionSize, maxRegions)
	for level := range min(int(l.heads.size/8), maxLevels) {
		head := field{off: l.heads.off + 8*uint64(level), size: 8, ok: true}
		w := newWalk(fmt.Sprintf("free list of level %d", level), head.value(b.state), l.chunkNext, l.chunkSize, maxChunks)
		w.marker = true
		w.backwards(b.addr+head.off, 0, l.chunkPrev)
		if l.tails.ok {
			f.want(b.addr+l.tails.off+uint64(level)*l.chunkSize, int(l.chunkSize))
		}
		b.levels = append(b.levels, w)
	}
}

// stepRegions reads the bitmaps.
func (b *buddy) stepRegions(f *fetcher) {
	l := &b.layout
	for i, addr := range b.regions.nodes {
		if i == len(b.maps) {
			r := region{addr: addr}
			if m, _, _ := f.get(addr, int(l.regionSize)); m != nil {
				r.first, r.pages = l.first.value(m), l.pages.value(m)
			}
			b.maps = append(b.maps, r)
		}
		r := &b.maps[i]
		if r.done {
			continue
		}
		if r.pages == 0 || r.pages/8 >= maxBitmap {
			r.err, r.done = fmt.Errorf("it claims to have %d pages", r.pages), true
			continue
		}
		m, _, _ := f.get(addr, int(l.regionSize))
		p := l.bitmap.value(m)
		bitmap, ok, err := f.get(p, int((r.pages+7)/8))
		if !ok {
			continue
		}
		r.bitmap, r.err, r.done = bitmap, err, true
		if err == nil {
			b.readAhead(f, r)
			b.wantHeaders(f, r)
		}
	}
}

// readAhead asks for the headers of the chunks a region must have by its
// bitmap: buddies merge, so every run of free pages is made of the largest
// aligned chunks that fit. One round trip then replaces one for each chunk of
// the longest list. What is read so is only believed where a list leads to it.
func (b *buddy) readAhead(f *fetcher, r *region) {
	for page := uint64(0); page < r.pages; {
		if r.allocated(page) {
			page++
			continue
		}
		end := page
		for end < r.pages && !r.allocated(end) {
			end++
		}
		for page < end {
			if b.ahead == maxAhead {
				return
			}
			b.ahead++
			f.want(r.first+page<<pageShift, int(b.layout.chunkSize))
			level := min(bits.TrailingZeros64((r.first>>pageShift)+page), bits.Len64(end-page)-1)
			page += 1 << level
		}
	}
}

func (r *region) allocated(page uint64) bool { return r.bitmap[page/8]>>(page%8)&1 != 0 }

// free counts the free pages by the bitmap.
func (r *region) free() uint64 {
	n := uint64(0)
	for i, c := range r.bitmap {
		left := r.pages - uint64(i)*8
		if left < 8 {
			c |= 0xff << left
		}
		n += uint64(8 - bits.OnesCount8(c))
	}
	return n
}

// finish sums up and checks that lists, counter and bitmaps agree.
func (b *buddy) finish(out *kernel.Allocator, f *fetcher) {
	if b.state == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("its state at %#x is not readable: %v", b.addr, b.err))
		return
	}
	corrupt := func(format string, args ...any) { damaged(out, 0, format, args...) }
	counted := b.layout.freePages.value(b.state)
	inMaps, total, mapsOK := b.sumRegions(out, corrupt)
	inLists, listsOK := uint64(0), true
	out.Chunks = map[int]int{}
	largest, checked := -1, uint64(0)
	for level, w := range b.levels {
		brokenList(out, w)
		listsOK = listsOK && w.complete
		for _, addr := range w.nodes {
			if checked += 1 << level; checked > total {
				break // more than there is: the sums below tell
			}
			b.checkChunk(f, addr, level, out)
		}
		if n := len(w.nodes); n > 0 {
			out.Chunks[level], largest = n, level
			inLists += uint64(n) << level
		}
	}
	if listsOK && inLists != counted {
		corrupt("the free lists hold %d pages, nr_free_pages says %d", inLists, counted)
	}
	if mapsOK && inMaps != counted {
		corrupt("the bitmaps have %d free pages, nr_free_pages says %d", inMaps, counted)
	}
	if !mapsOK || counted > total {
		if counted > total && mapsOK {
			corrupt("nr_free_pages is %d of %d pages", counted, total)
		}
		return
	}
	out.Known = true
	out.Free, out.Total = counted<<pageShift, total<<pageShift
	out.Used = out.Total - out.Free
	if largest >= 0 {
		out.Largest = 1 << (largest + pageShift)
	}
}

func (b *buddy) sumRegions(out *kernel.Allocator, corrupt func(string, ...any)) (free, total uint64, ok bool) {
	ok = b.regions.complete
	if b.regions.note != "" {
		corrupt("%s", b.regions.note)
	}
	for i := range b.maps {
		r := &b.maps[i]
		if r.err != nil {
			out.Notes = append(out.Notes, fmt.Sprintf("memory region at %#x: %v", r.addr, r.err))
		}
		if r.bitmap == nil {
			ok = false
			continue
		}
		total += r.pages
		free += r.free()
	}
	return free, total, ok
}

// checkChunk proves one free chunk against its list and the bitmap.
func (b *buddy) checkChunk(f *fetcher, addr uint64, level int, out *kernel.Allocator) {
	corrupt := func(format string, args ...any) { damaged(out, addr, format, args...) }
	if addr&(1<<(level+pageShift)-1) != 0 {
		corrupt("free chunk %#x of level %d is not aligned to its size", addr, level)
	}
	if m, _, _ := f.get(addr, int(b.layout.chunkSize)); m != nil {
		if v := b.layout.chunkLevel.value(m); v != uint64(level) {
			corrupt("free chunk %#x is in the list of level %d but has level %d", addr, level, v)
		}
	}
	for i := range b.maps {
		r := &b.maps[i]
		if r.bitmap == nil || addr < r.first || (addr-r.first)>>pageShift >= r.pages {
			continue
		}
		page := (addr - r.first) >> pageShift
		if r.pages-page < 1<<level {
			corrupt("free chunk %#x of level %d reaches past its memory region", addr, level)
			return
		}
		for p := page; p < page+1<<level; p++ {
			if r.allocated(p) {
				corrupt("free chunk %#x of level %d: page %#x is allocated by the bitmap", addr, level, r.first+p<<pageShift)
				return
			}
		}
		return
	}
	corrupt("free chunk %#x of level %d is in no memory region", addr, level)
}
