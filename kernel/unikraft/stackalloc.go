package unikraft

import (
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
)

// stacks is a stack allocator during a survey: struct uk_allocstack
// (lib/ukallocstack/stack.c). It has no memory of its own: it takes stacks from
// its parent or, with guard pages, maps them.
type stacks struct {
	size              uint64
	self, parent, vas field
	premapped         field
	addr              uint64
	state             []byte
	err               error
}

func openStacks(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	a := &stacks{
		size:      l.size("uk_allocstack"),
		self:      l.required("uk_allocstack", "a"),
		parent:    l.required("uk_allocstack", "parent_a"),
		vas:       l.optional("uk_allocstack", "vas"),
		premapped: l.optional("uk_allocstack", "premapped_len"),
	}
	if len(l.missing) == 0 && a.size == 0 {
		l.missing = append(l.missing, "struct uk_allocstack has no usable size")
	}
	a.addr = addr - a.self.off
	return a, l.missing
}

func (a *stacks) step(f *fetcher) {
	if a.state == nil && a.err == nil {
		a.state, _, a.err = f.get(a.addr, int(a.size))
	}
}

func (a *stacks) finish(out *kernel.Allocator, _ *fetcher) {
	if a.state == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("its state at %#x is not readable: %v", a.addr, a.err))
		return
	}
	out.Parent = a.parent.value(a.state)
	if out.Parent == 0 {
		damaged(out, a.addr, "parent_a is 0: it has nothing to take stacks from")
	}
	if vas := a.vas.value(a.state); vas != 0 {
		out.Notes = append(out.Notes, fmt.Sprintf(
			"built with lib/ukvmem: %d B of a stack are mapped from the start; with guard pages stacks are mapped in the address space at %#x and not taken from its parent", a.premapped.value(a.state), vas))
	}
}

func (a *stacks) areas(*fetcher) []kernel.HeapArea {
	return []kernel.HeapArea{ownRecords(a.addr, a.size)}
}
