package unikraft

import (
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
)

// maxObjects bounds the objects of a pool that are looked at.
const maxObjects = 1 << 18

// poolLayout is struct uk_allocpool (lib/ukallocpool/pool.c): behind it, aligned,
// lie the objects, all of one length; the free ones are in a circular list.
type poolLayout struct {
	size, linkSize   uint64
	self, head       field
	free, count      field
	length, align    field
	parent           field
	linkNext, linkPr field
}

func openPool(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	p := &pool{window: s.window, layout: poolLayout{
		size:     l.size("uk_allocpool"),
		linkSize: l.size("uk_list_head"),
		self:     l.required("uk_allocpool", "self"),
		head:     l.required("uk_allocpool", "free_obj"),
		free:     l.required("uk_allocpool", "free_obj_count"),
		count:    l.required("uk_allocpool", "obj_count"),
		length:   l.required("uk_allocpool", "obj_len"),
		align:    l.required("uk_allocpool", "obj_align"),
		parent:   l.optional("uk_allocpool", "parent"),
		linkNext: l.required("uk_list_head", "next"),
		linkPr:   l.optional("uk_list_head", "prev"),
	}}
	if len(l.missing) == 0 && (p.layout.size == 0 || p.layout.linkSize == 0) {
		l.missing = append(l.missing, "struct uk_allocpool or uk_list_head has no usable size")
	}
	p.addr = addr - p.layout.self.off
	return p, l.missing
}

// pool is one pool allocator during a survey.
type pool struct {
	layout poolLayout
	addr   uint64
	state  []byte
	err    error
	window *window

	first, length, count uint64
	wrong                string // why the numbers cannot be
	list                 *walk
}

func (p *pool) step(f *fetcher) {
	l := &p.layout
	if p.state == nil && p.err == nil {
		state, ok, err := f.get(p.addr, int(l.size))
		if p.err = err; !ok || err != nil {
			return
		}
		p.state = state
		p.open(f)
	}
	if p.list != nil {
		p.list.step(f)
	}
}

// open finds out where the objects lie.
func (p *pool) open(f *fetcher) {
	l := &p.layout
	align := l.align.value(p.state)
	p.length, p.count = l.length.value(p.state), l.count.value(p.state)
	switch {
	case align == 0 || align&(align-1) != 0 || align > 1<<30:
		p.wrong = fmt.Sprintf("obj_align is %d, no power of two", align)
	case p.length < l.linkSize || p.length > 1<<40:
		p.wrong = fmt.Sprintf("obj_len is %d", p.length)
	case p.count > 1<<32:
		p.wrong = fmt.Sprintf("obj_count is %d", p.count)
	}
	p.first = (p.addr + l.size + align - 1) &^ (align - 1)
	if p.wrong == "" && p.count > 0 && (p.first < p.addr || p.count > (^uint64(0)-p.first)/p.length) {
		p.wrong = fmt.Sprintf("%d objects of %d B do not fit behind it", p.count, p.length)
	}
	if p.wrong != "" || p.count == 0 {
		return
	}
	head := p.addr + l.head.off
	// Which objects are free is not known before the list was followed; their
	// links are read ahead in one round trip.
	for i := range min(p.count, maxAhead) {
		f.want(p.first+i*p.length, int(l.linkSize))
	}
	p.list = newWalk("free list", 0, l.linkNext, l.linkSize, maxObjects)
	p.list.next = field{off: l.head.off + l.linkNext.off, size: 8, ok: true}.value(p.state)
	p.list.ring = head
	p.list.inside = func(a uint64) bool { _, ok := p.index(a); return ok }
	p.list.backwards(head, 0, l.linkPr)
}

// index tells which object begins at an address.
func (p *pool) index(addr uint64) (uint64, bool) {
	i := (addr - p.first) / p.length
	return i, addr >= p.first && i < p.count && (addr-p.first)%p.length == 0
}

func (p *pool) finish(out *kernel.Allocator, _ *fetcher) {
	if p.state == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("its state at %#x is not readable: %v", p.addr, p.err))
		return
	}
	out.Parent = p.layout.parent.value(p.state)
	if p.wrong != "" {
		damaged(out, p.addr, "%s", p.wrong)
		return
	}
	free := p.layout.free.value(p.state)
	if p.list != nil {
		brokenList(out, p.list)
		if n := uint64(len(p.list.nodes)); p.list.complete && n != free {
			damaged(out, 0, "the free list holds %d objects, free_obj_count says %d", n, free)
		}
	}
	if free > p.count {
		damaged(out, p.addr, "free_obj_count is %d of %d objects", free, p.count)
		return
	}
	out.Known = true
	out.Total, out.Free = p.count*p.length, free*p.length
	out.Used = out.Total - out.Free
	if free > 0 {
		out.Largest = p.length
	}
	out.Notes = append(out.Notes, fmt.Sprintf("%d objects of %d B, %d free: its largest block is one object", p.count, p.length, free))
}

func (p *pool) areas(*fetcher) []kernel.HeapArea {
	out := []kernel.HeapArea{ownRecords(p.addr, p.layout.size)}
	if p.list == nil {
		return out
	}
	area := kernel.HeapArea{First: p.first, Last: p.first + (p.count*p.length - 1)}
	if !p.window.holds(area.First, area.Last) {
		return append(out, area)
	}
	free := map[uint64]bool{}
	for _, a := range p.list.nodes {
		free[a] = true
	}
	// Around the window, as one object's neighbours are asked for.
	from := uint64(0)
	if p.window.first > p.first {
		from = (p.window.first - p.first) / p.length
		from -= min(from, 1)
	}
	to := p.count
	if p.window.last < area.Last {
		to = min(to, (p.window.last-p.first)/p.length+2)
	}
	for i := from; i < min(to, from+maxObjects); i++ {
		b := kernel.Block{Addr: p.first + i*p.length, Size: p.length}
		switch {
		case free[b.Addr]:
			b.Use = kernel.BlockFree
		case !p.list.complete:
			b.Use = kernel.BlockLost // in use, or behind where the list is broken
		default:
			b.Object = b.Addr
		}
		area.Blocks = append(area.Blocks, b)
	}
	if !p.list.complete {
		area.Notes = append(area.Notes, "the free list is broken: which of the rest are in use is not known")
	}
	return append(out, area)
}
