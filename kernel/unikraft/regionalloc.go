package unikraft

import (
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
)

// bump is a region allocator during a survey: struct uk_allocregion
// (lib/ukallocregion/region.c) lies in uk_alloc's priv, the memory behind both.
// Allocations rise from heap_base, nothing is given back.
type bump struct {
	top, base  field
	size       uint64
	addr       uint64 // of struct uk_allocregion
	start      uint64 // where the memory begins
	state      []byte
	err        error
	window     *window
	contradict string
}

func openRegion(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	b := &bump{
		size:   l.size("uk_allocregion"),
		top:    l.required("uk_allocregion", "heap_top"),
		base:   l.required("uk_allocregion", "heap_base"),
		addr:   addr + s.layout.priv.off,
		window: s.window,
	}
	if len(l.missing) == 0 && b.size == 0 {
		l.missing = append(l.missing, "struct uk_allocregion has no usable size")
	}
	b.start = addr + s.layout.size + b.size
	return b, l.missing
}

func (b *bump) step(f *fetcher) {
	if b.state != nil || b.err != nil {
		return
	}
	state, ok, err := f.get(b.addr, int(b.size))
	if b.err = err; !ok || err != nil {
		return
	}
	b.state = state
	base, top := b.base.value(state), b.top.value(state)
	if base < b.start || base > top {
		b.contradict = fmt.Sprintf("heap_base is %#x and heap_top %#x, the memory begins at %#x", base, top, b.start)
	}
}

func (b *bump) finish(out *kernel.Allocator, _ *fetcher) {
	switch {
	case b.state == nil:
		out.Notes = append(out.Notes, fmt.Sprintf("its state at %#x is not readable: %v", b.addr, b.err))
		return
	case b.contradict != "":
		damaged(out, b.addr, "%s", b.contradict)
		return
	}
	base, top := b.base.value(b.state), b.top.value(b.state)
	out.Known = true
	out.Total, out.Free = top-b.start, top-base
	out.Used, out.Largest = out.Total-out.Free, out.Free
	out.Notes = append(out.Notes, "a region allocator takes nothing back: what was freed counts as used")
}

func (b *bump) areas(*fetcher) []kernel.HeapArea {
	out := []kernel.HeapArea{ownRecords(b.addr, b.size)}
	if b.state == nil || b.contradict != "" {
		return out
	}
	base, top := b.base.value(b.state), b.top.value(b.state)
	if top == b.start {
		return out
	}
	area := kernel.HeapArea{First: b.start, Last: top - 1}
	if b.window.holds(area.First, area.Last) {
		if base > b.start {
			area.Blocks = append(area.Blocks, kernel.Block{Addr: b.start, Size: base - b.start, Use: kernel.BlockUsed, Joined: true})
		}
		if top > base {
			area.Blocks = append(area.Blocks, kernel.Block{Addr: base, Size: top - base, Use: kernel.BlockFree})
		}
		area.Notes = append(area.Notes, "a region allocator does not write down where allocations end")
	}
	return append(out, area)
}
