package unikraft

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ukdbg/ukdbg/kernel"
)

// miLayout is what mimalloc keeps of its memory (include/mimalloc-types.h of 1.6
// to 2.0): a heap for each thread, whose queues hold pages of blocks of one size,
// with lists of free blocks in the blocks themselves.
type miLayout struct {
	heapSize, queueSize, pageSize uint64
	tld, queues, heapNext, pages  field
	heaps                         field
	first, last                   field
	capacity, reserved, blockSize field
	used, free, local, thread     field
	next, prev, keys              field
	delayed, heapKeys             field
	slices, sliceCount            field // of 2.0: where in its segment a page is
	pagesOf, index, shift         field // of 1.6: the same
}

func newMiLayout(img Image) (m miLayout, missing []string) {
	l := &layouter{img: img}
	m = miLayout{
		heapSize:  l.size("mi_heap_s"),
		queueSize: l.size("mi_page_queue_s"),
		pageSize:  l.size("mi_page_s"),
		tld:       l.required("mi_heap_s", "tld"),
		queues:    l.required("mi_heap_s", "pages"),
		heapNext:  l.required("mi_heap_s", "next"),
		pages:     l.required("mi_heap_s", "page_count"),
		heaps:     l.required("mi_tld_s", "heaps"),
		first:     l.required("mi_page_queue_s", "first"),
		last:      l.required("mi_page_queue_s", "last"),
		capacity:  l.required("mi_page_s", "capacity"),
		reserved:  l.required("mi_page_s", "reserved"),
		blockSize: l.required("mi_page_s", "xblock_size"),
		used:      l.required("mi_page_s", "used"),
		free:      l.required("mi_page_s", "free"),
		local:     l.required("mi_page_s", "local_free"),
		thread:    l.required("mi_page_s", "xthread_free"),
		next:      l.required("mi_page_s", "next"),
		prev:      l.required("mi_page_s", "prev"),
		keys:      l.optional("mi_page_s", "keys"),
		delayed:   l.required("mi_heap_s", "thread_delayed_free"),
		heapKeys:  l.optional("mi_heap_s", "keys"),
		slices:    l.optional("mi_segment_s", "slices"),

		sliceCount: l.optional("mi_page_s", "slice_count"),
		pagesOf:    l.optional("mi_segment_s", "pages"),
		index:      l.optional("mi_page_s", "segment_idx"),
		shift:      l.optional("mi_segment_s", "page_shift"),
	}
	if len(l.missing) == 0 && (m.heapSize == 0 || m.queueSize == 0 || m.pageSize == 0) {
		l.missing = append(l.missing, "struct mi_heap_s, mi_page_queue_s or mi_page_s has no usable size")
	}
	return m, l.missing
}

// Limits of a walk through hostile heaps.
const (
	maxMiHeaps  = 256
	maxMiPages  = 1 << 16 // in all, but for one step of each queue
	maxMiBlocks = 1 << 20 // free blocks in all
	// miHuge is xblock_size of a page whose one block is larger than 32 bits tell.
	miHuge = 1 << 31
)

// miPages walks the heaps of one thread.
type miPages struct {
	l      miLayout
	main   uint64 // the main thread's heap
	heaps  *walk
	opened int // heaps whose queues are being walked
	queues []*miQueue
	counts map[uint64]uint64 // pages by heap, as it counts them
	blocks int
	reader pageReader
	err    error
	// delayed are the heaps' lists of blocks that other threads freed.
	delayed []*miDelayed
}

// miDelayed is one such list.
type miDelayed struct {
	heap   uint64
	list   miList
	links  miLinks
	blocks []uint64
	seen   map[uint64]bool
	fault  string
	at     uint64
}

// miQueue is one queue of pages.
type miQueue struct {
	*walk
	heap, last uint64
	pages      []*miPage
}

// miPage is one page: the lists of its free blocks are followed in turn.
type miPage struct {
	addr, prev                      uint64
	capacity, reserved, size, inUse uint64
	links                           miLinks
	lists                           [3]miList
	slices, index                   uint64 // how it is told where its memory is
	start, end                      uint64 // its memory; both 0 where that is not told
	located                         bool
	delayed                         uint64 // blocks that other threads freed, of the heap's list
	low, high                       uint64 // the free blocks seen
	seen                            map[uint64]bool
	fault                           string
	at                              uint64 // the block, or page, that is damaged
	done                            bool
}

// miList is a list of free blocks.
type miList struct {
	name string
	next uint64
	n    uint64
	from uint64
}

// step reads on; it is called until nothing is asked for any more.
func (m *miPages) step(f *fetcher) {
	l := &m.l
	if m.heaps == nil && m.err == nil {
		b, ok, err := f.get(m.main, int(l.heapSize))
		if m.err = err; !ok || err != nil {
			return
		}
		first := m.main
		if tld := l.tld.value(b); tld != 0 {
			v, ok, err := f.get(tld+l.heaps.off, 8)
			if m.err = err; !ok || err != nil {
				return
			}
			if first = le64(v); first == 0 {
				first = m.main // nothing was allocated yet
			}
		}
		m.counts = map[uint64]uint64{}
		m.heaps = newWalk("list of heaps", first, l.heapNext, l.heapSize, maxMiHeaps)
	}
	if m.heaps == nil {
		return
	}
	m.heaps.step(f)
	for ; m.opened < len(m.heaps.nodes); m.opened++ {
		m.open(f, m.heaps.nodes[m.opened])
	}
	pages := 0
	for _, q := range m.queues {
		if pages += len(q.nodes); pages > maxMiPages && !q.ended {
			q.end("there are more pages than are read")
		}
		q.step(f)
		for len(q.pages) < len(q.nodes) {
			b, ok, _ := f.get(q.nodes[len(q.pages)], int(l.pageSize))
			if !ok {
				break
			}
			q.pages = append(q.pages, m.page(q.nodes[len(q.pages)], b))
		}
		for _, p := range q.pages {
			m.locate(f, p)
			m.follow(f, p)
		}
	}
	for _, d := range m.delayed {
		m.followDelayed(f, d)
	}
}

// open begins the walks of a heap's queues.
func (m *miPages) open(f *fetcher, heap uint64) {
	l := &m.l
	b, ok, err := f.get(heap, int(l.heapSize))
	if !ok || err != nil {
		return // the walk of the heaps has read it
	}
	m.counts[heap] = l.pages.value(b)
	if first := l.delayed.value(b); first != 0 {
		m.delayed = append(m.delayed, &miDelayed{
			heap: heap, list: miList{next: first, from: heap}, seen: map[uint64]bool{},
			// The links are encoded where those of pages are; a heap has keys at all times.
			links: linksOf(l.heapKeys, b, heap, l.keys.ok),
		})
	}
	for off := l.queues.off; off+l.queueSize <= l.queues.off+l.queues.size && off+l.queueSize <= uint64(len(b)); off += l.queueSize {
		q := b[off : off+l.queueSize]
		if first := l.first.value(q); first != 0 {
			w := newWalk(fmt.Sprintf("queue of pages at %#x", heap+off), first, l.next, l.pageSize, maxMiPages)
			m.queues = append(m.queues, &miQueue{walk: w, heap: heap, last: l.last.value(q)})
		}
	}
}

func (m *miPages) page(addr uint64, b []byte) *miPage {
	l := &m.l
	p := &miPage{
		addr: addr, prev: l.prev.value(b), seen: map[uint64]bool{}, low: ^uint64(0),
		capacity: l.capacity.value(b), reserved: l.reserved.value(b), size: l.blockSize.value(b), inUse: l.used.value(b),
	}
	// The low bits of the list of other threads' frees are flags.
	p.lists = [...]miList{{"free", l.free.value(b), 0, addr}, {"local_free", l.local.value(b), 0, addr}, {"xthread_free", l.thread.value(b) &^ 3, 0, addr}}
	p.links = linksOf(l.keys, b, addr, true)
	p.slices, p.index = l.sliceCount.value(b), l.index.value(b)
	if p.size == 0 || p.capacity > p.reserved || p.inUse > p.capacity {
		p.damage(addr, fmt.Sprintf("the page at %#x has %d blocks of %d B in use, capacity %d, reserved %d", addr, p.inUse, p.size, p.capacity, p.reserved))
	}
	return p
}

func (p *miPage) damage(at uint64, text string) {
	if p.fault == "" {
		p.fault, p.at = text, at
	}
	p.done = true
}

// follow goes along a page's lists as far as they were read, and checks the
// counts at their end.
func (m *miPages) follow(f *fetcher, p *miPage) {
	for i := range p.lists {
		list := &p.lists[i]
		for !p.done && list.next != 0 {
			if !p.holds(list.next) {
				p.damage(list.from, fmt.Sprintf("the %s list of the page at %#x: the entry at %#x leads to %#x, which is no free block of it", list.name, p.addr, list.from, list.next))
				return
			}
			if m.blocks >= maxMiBlocks {
				p.damage(p.addr, fmt.Sprintf("the lists of free blocks are longer than is read (%d)", maxMiBlocks))
				return
			}
			b, ok, err := m.reader.get(f, list.next, 8)
			if !ok {
				return
			}
			if err != nil {
				p.damage(list.from, fmt.Sprintf("the %s list of the page at %#x: the block at %#x is not readable (%v)", list.name, p.addr, list.next, err))
				return
			}
			m.blocks++
			p.take(list, p.links.next(le64(b)))
		}
	}
	if p.done {
		return
	}
	p.done = true
	// Blocks that other threads freed count as used until the owner takes them.
	free, local, thread := p.lists[0].n, p.lists[1].n, p.lists[2].n
	switch {
	case p.inUse+free+local != p.capacity:
		p.damage(p.addr, fmt.Sprintf("the page at %#x has %d blocks in use and %d free, of %d", p.addr, p.inUse, free+local, p.capacity))
	case thread > p.inUse:
		p.damage(p.addr, fmt.Sprintf("the page at %#x has %d blocks in use, %d of them freed by other threads", p.addr, p.inUse, thread))
	}
}

// holds reports whether addr can be another free block of the page: as far from
// the others as blocks are, and not seen before.
func (p *miPage) holds(addr uint64) bool {
	if addr%8 != 0 || p.seen[addr] || uint64(len(p.seen)) >= p.capacity {
		return false
	}
	if len(p.seen) == 0 {
		return true
	}
	low, high := min(p.low, addr), max(p.high, addr)
	return (max(p.low, addr)-low)%p.size == 0 && (high-low)/p.size < p.capacity
}

func (p *miPage) take(list *miList, next uint64) {
	p.seen[list.next] = true
	p.low, p.high = min(p.low, list.next), max(p.high, list.next)
	list.n++
	list.from, list.next = list.next, next
}

// miLinks is how the links between free blocks are written: as they are, or in
// secure and debug builds encoded (mi_ptr_decode), where null, the address of the
// page or heap, stands for no next block.
type miLinks struct {
	encoded bool
	keys    [2]uint64
	null    uint64
}

func linksOf(keys field, b []byte, null uint64, encoded bool) miLinks {
	if !encoded || !keys.ok || keys.size != 16 || keys.off+16 > uint64(len(b)) {
		return miLinks{}
	}
	k := b[keys.off : keys.off+16]
	return miLinks{true, [2]uint64{le64(k[:8]), le64(k[8:])}, null}
}

func (l miLinks) next(x uint64) uint64 {
	if !l.encoded {
		return x
	}
	v := bits.RotateLeft64(x-l.keys[0], -int(l.keys[0]&63)) ^ l.keys[1]
	if v == l.null {
		return 0
	}
	return v
}

// miSlice is the unit of a segment of 2.0 (MI_SEGMENT_SLICE_SIZE).
const miSlice = 64 << 10

// locate finds where a page's blocks are, by its place in the array of its
// segment: in 2.0 that is aligned to its size and has a page for some of its
// slices, in 1.6 it has pages of one size.
func (m *miPages) locate(f *fetcher, p *miPage) {
	l := &m.l
	if p.located {
		return
	}
	if l.sliceCount.ok && l.slices.ok && l.slices.size >= 2*l.pageSize {
		p.located = true
		size := (l.slices.size/l.pageSize - 1) * miSlice
		base := p.addr &^ (size - 1)
		at := p.addr - base - l.slices.off
		if bits.OnesCount64(size) == 1 && at%l.pageSize == 0 && at < l.slices.size && p.slices > 0 && p.slices <= size/miSlice {
			p.start = base + at/l.pageSize*miSlice
			p.end = p.start + p.slices*miSlice
		}
		return
	}
	if !l.pagesOf.ok || !l.index.ok || l.shift.size != 8 {
		p.located = true
		return
	}
	base := p.addr - p.index*l.pageSize - l.pagesOf.off
	b, ok, err := f.get(base+l.shift.off, 8)
	if !ok {
		return
	}
	p.located = true
	if err != nil {
		return
	}
	if shift := le64(b); shift >= 12 && shift < 40 {
		p.start = base + p.index<<shift
		p.end = p.start + 1<<shift
	}
}

// followDelayed goes along a heap's list of blocks that other threads freed.
func (m *miPages) followDelayed(f *fetcher, d *miDelayed) {
	for d.list.next != 0 && d.fault == "" {
		at := d.list.next
		if at%8 != 0 || d.seen[at] || m.blocks >= maxMiBlocks {
			d.fault, d.at = fmt.Sprintf("the list of blocks freed by other threads of the heap at %#x: the entry at %#x leads to %#x, which is no entry, or there are too many", d.heap, d.list.from, at), d.list.from
			return
		}
		b, ok, err := m.reader.get(f, at, 8)
		if !ok {
			return
		}
		if err != nil {
			d.fault, d.at = fmt.Sprintf("the list of blocks freed by other threads of the heap at %#x: the entry at %#x leads to %#x, which is not readable", d.heap, d.list.from, at), d.list.from
			return
		}
		m.blocks++
		d.seen[at] = true
		d.blocks = append(d.blocks, at)
		d.list.from, d.list.next = at, d.links.next(le64(b))
	}
}

// settleDelayed gives the blocks of those lists to their pages; lost counts those
// whose page is not found.
func (m *miPages) settleDelayed(out *kernel.Allocator) (lost int) {
	var pages []*miPage
	for _, q := range m.queues {
		for _, p := range q.pages {
			if p.end != 0 {
				pages = append(pages, p)
			}
		}
	}
	slices.SortFunc(pages, func(a, b *miPage) int { return cmp.Compare(a.start, b.start) })
	for _, d := range m.delayed {
		if d.fault != "" {
			damaged(out, d.at, "%s", d.fault)
		}
		for _, b := range d.blocks {
			i, found := slices.BinarySearchFunc(pages, b, func(p *miPage, b uint64) int { return cmp.Compare(p.start, b) })
			if !found {
				i--
			}
			if i < 0 || b >= pages[i].end {
				lost++
				continue
			}
			pages[i].delayed++
		}
	}
	return lost
}

// finish checks the queues and sums the pages up.
func (m *miPages) finish(out *kernel.Allocator) {
	if m.heaps == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("mimalloc's heap at %#x is not readable: %v", m.main, m.err))
		return
	}
	brokenList(out, m.heaps)
	lost := m.settleDelayed(out)
	found := map[uint64]uint64{}
	pages, huge := 0, 0
	for _, q := range m.queues {
		brokenList(out, q.walk)
		before := uint64(0)
		for _, p := range q.pages {
			if p.prev != before {
				damaged(out, p.addr, "%s: the page at %#x has %#x before it, and should have %#x", q.what, p.addr, p.prev, before)
			}
			before = p.addr
			if p.fault != "" {
				damaged(out, p.at, "%s", p.fault)
			}
			pages++
			if p.size >= miHuge {
				huge++
				continue
			}
			inUse := p.inUse - min(p.inUse, p.lists[2].n+p.delayed)
			out.Used += inUse * p.size
			out.Free += (p.reserved - min(p.reserved, inUse)) * p.size
			if p.reserved > inUse {
				out.Largest = max(out.Largest, p.size)
			}
		}
		if q.complete && before != q.last {
			damaged(out, 0, "%s ends at %#x, its head says at %#x", q.what, before, q.last)
		}
		found[q.heap] += uint64(len(q.pages))
	}
	for heap, want := range m.counts {
		if found[heap] != want {
			damaged(out, heap, "the heap at %#x counts %d pages, its queues hold %d", heap, want, found[heap])
		}
	}
	out.Total = out.Used + out.Free
	out.Known = len(out.Corrupt) == 0 && huge == 0 && lost == 0
	if !out.Known {
		out.Used, out.Free, out.Total, out.Largest = 0, 0, 0, 0
	}
	text := fmt.Sprintf("%d pages of %d heaps walked; the largest free block is that of the largest size with a page that has one", pages, len(m.heaps.nodes))
	if huge > 0 {
		text += fmt.Sprintf("; %d pages hold one block each of 2 GiB or more, whose size is not told", huge)
	}
	if lost > 0 {
		text += fmt.Sprintf("; of %d blocks that other threads freed the page is not found: how much is in use is not told", lost)
	}
	out.Notes = append(out.Notes, text)
}
