package unikraft

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/kernel"
)

const maxAllocators = 256

// allocLayout is struct uk_alloc of this image.
type allocLayout struct {
	size               uint64
	next, priv, palloc field
	malloc, backend    field
	inUse, maxInUse    field
	live, failed       field
	missing            []string
}

func newAllocLayout(img Image) allocLayout {
	l := &layouter{img: img}
	a := allocLayout{
		size:     l.size("uk_alloc"),
		next:     l.required("uk_alloc", "next"),
		priv:     l.required("uk_alloc", "priv"),
		palloc:   l.optional("uk_alloc", "palloc"),
		malloc:   l.optional("uk_alloc", "malloc"),
		backend:  l.optional("uk_alloc", "malloc_backend"),
		inUse:    l.optional("uk_alloc", "_stats.cur_mem_use"),
		maxInUse: l.optional("uk_alloc", "_stats.max_mem_use"),
		live:     l.optional("uk_alloc", "_stats.cur_nb_allocs"),
		failed:   l.optional("uk_alloc", "_stats.nb_enomem"),
	}
	if a.size == 0 {
		l.missing = append(l.missing, "there is no struct uk_alloc")
	}
	a.missing = l.missing
	return a
}

// Heap lists the allocators. Of one that is not among allocKinds the function
// that names it is told.
func (k *Kernel) Heap(ctx context.Context) (*kernel.Heap, error) {
	s, err := k.surveyHeap(ctx, nil)
	if err != nil {
		return nil, err
	}
	return s.finish(), nil
}

// HeapMap lists the blocks of the allocators that can be told.
func (k *Kernel) HeapMap(ctx context.Context, first, last uint64) ([]kernel.HeapArea, error) {
	s, err := k.surveyHeap(ctx, &window{first, last})
	if err != nil {
		return nil, err
	}
	var out []kernel.HeapArea
	for _, a := range s.order {
		own := ownRecords(a.out.Addr, s.layout.size)
		own.Allocator, own.Kind = a.out.Addr, a.out.Kind
		out = append(out, own)
		if a.walker != nil {
			for _, area := range a.walker.areas(s.f) {
				area.Allocator, area.Kind = a.out.Addr, a.out.Kind
				out = append(out, area)
			}
		}
	}
	return out, nil
}

// window is a range of addresses whose blocks are wanted.
type window struct{ first, last uint64 }

// holds reports whether any of first to last lies in the window.
func (w *window) holds(first, last uint64) bool {
	return w != nil && first <= w.last && last >= w.first
}

// surveyHeap reads the structures of all allocators, and with a window the
// headers of the blocks in it.
func (k *Kernel) surveyHeap(ctx context.Context, w *window) (*heapSurvey, error) {
	head, _, ok := k.symbol("_uk_alloc_head")
	if !ok {
		return nil, absent("heap", "no symbol _uk_alloc_head; the image has no ukalloc")
	}
	l := newAllocLayout(k.cfg.Image)
	if len(l.missing) > 0 {
		return nil, absent("heap", l.missing[0])
	}
	s := &heapSurvey{k: k, f: newFetcher(k.cfg.Memory), layout: l, heap: &kernel.Heap{}, seen: map[uint64]bool{}, window: w}
	for round := 0; ; round++ {
		if s.allocs == nil {
			if b, ok, err := s.f.get(head, 8); err != nil {
				return nil, fmt.Errorf("heap: _uk_alloc_head: %w", err)
			} else if ok {
				s.allocs = newWalk("list of allocators", le64(b), l.next, l.size, maxAllocators)
			}
		}
		if s.allocs != nil {
			s.step()
		}
		more, err := s.f.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("heap: %w", err)
		}
		if !more {
			break
		}
		if round >= maxRounds {
			s.heap.Notes = append(s.heap.Notes, "the allocators' lists are longer than is read; the sums are incomplete")
			break
		}
	}
	return s, nil
}

// heapSurvey is one reading of all allocators.
type heapSurvey struct {
	k      *Kernel
	f      *fetcher
	layout allocLayout
	heap   *kernel.Heap
	allocs *walk
	seen   map[uint64]bool
	order  []*allocator
	window *window
}

type allocator struct {
	out    kernel.Allocator
	walker allocWalker // nil for one whose memory is not known
}

// allocWalker reads one kind of allocator.
type allocWalker interface {
	// step goes as far as what was read allows, and asks for more.
	step(f *fetcher)
	// finish sums up and tells what contradicts itself.
	finish(out *kernel.Allocator, f *fetcher)
	// areas lists the blocks, if a window was given.
	areas(f *fetcher) []kernel.HeapArea
}

func (s *heapSurvey) step() {
	s.allocs.step(s.f)
	for _, addr := range s.allocs.nodes {
		if s.seen[addr] {
			continue
		}
		s.seen[addr] = true
		b, _, _ := s.f.get(addr, int(s.layout.size))
		s.order = append(s.order, s.recognise(addr, b))
	}
	for _, a := range s.order {
		if a.walker != nil {
			a.walker.step(s.f)
		}
	}
}

// recognise tells which allocator one is by its function pointers.
func (s *heapSurvey) recognise(addr uint64, b []byte) *allocator {
	a := &allocator{out: kernel.Allocator{Addr: addr, Kind: "unknown"}}
	l := &s.layout
	if v, ok := l.inUse.get(b); ok {
		a.out.Stats = &kernel.AllocStats{
			InUse: int64(v), MaxInUse: int64(l.maxInUse.value(b)),
			Live: int64(l.live.value(b)), Failed: l.failed.value(b),
		}
	}
	name := ""
	for _, f := range []field{l.palloc, l.malloc, l.backend} {
		v, ok := f.get(b)
		if !ok || v == 0 {
			continue
		}
		if sym, _, _ := s.k.symbolAt(v); name == "" || wrapper(name) {
			name = sym
		}
	}
	a.out.Symbol = name
	kind, ok := allocKinds[name]
	if !ok {
		a.out.Notes = append(a.out.Notes, fmt.Sprintf("unknown allocator (its function is %s)", orUnknown(name)))
		return a
	}
	a.out.Kind = kind.name
	w, missing := kind.open(s, addr)
	if len(missing) > 0 {
		a.out.Notes = append(a.out.Notes, "its structures are not described in this image: "+missing[0])
		return a
	}
	a.walker = w
	return a
}

// allocKind is one of the allocators whose memory can be told. Open makes what
// reads the one whose struct uk_alloc is at addr, or says what the image lacks.
type allocKind struct {
	name string
	open func(s *heapSurvey, addr uint64) (w allocWalker, missing []string)
}

// allocKinds are the allocators by their page or byte allocation function: those
// of Unikraft's lib/ukalloc* and of its lib-tlsf, lib-tinyalloc and lib-mimalloc.
var allocKinds = map[string]allocKind{
	"bbuddy_palloc":             {"buddy", openBuddy},
	"pool_malloc":               {"pool", openPool},
	"uk_allocregion_malloc":     {"region", openRegion},
	"stack_malloc":              {"stack", openStacks},
	"uk_tlsf_malloc":            {"tlsf", openTLSF},
	"uk_tinyalloc_malloc":       {"tinyalloc", openTinyalloc},
	"uk_mimalloc_malloc":        {"mimalloc", openMimalloc},
	"uk_mimalloc_region_malloc": {"mimalloc", openMimalloc}, // until its threads run
}

func openBuddy(s *heapSurvey, addr uint64) (allocWalker, []string) {
	l := newBuddyLayout(s.k.cfg.Image)
	return &buddy{layout: l, addr: addr + s.layout.priv.off, window: s.window}, l.missing
}

// maxCorrupt bounds what is told of one allocator.
const maxCorrupt = 32

// damaged tells a contradiction; at is the header or list entry that holds it, 0
// if there is no such.
func damaged(out *kernel.Allocator, at uint64, format string, args ...any) {
	if len(out.Corrupt) >= maxCorrupt {
		return
	}
	out.Corrupt = append(out.Corrupt, fmt.Sprintf(format, args...))
	if at != 0 && !slices.Contains(out.Damaged, at) {
		out.Damaged = append(out.Damaged, at)
	}
}

// brokenList tells what is wrong with a list.
func brokenList(out *kernel.Allocator, w *walk) {
	if w.note != "" {
		damaged(out, w.bad, "%s", w.note)
	}
}

// wrapper reports whether a function of an allocator is one that lib/ukalloc
// makes of another one, which so says nothing of the allocator.
func wrapper(name string) bool {
	for _, suffix := range []string{"_compat", "_ifpages", "_ifmalloc"} {
		if strings.HasPrefix(name, "uk_") && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func orUnknown(name string) string {
	if name == "" {
		return "no symbol"
	}
	return name
}

func (s *heapSurvey) finish() *kernel.Heap {
	if s.allocs != nil && s.allocs.note != "" {
		s.heap.Notes = append(s.heap.Notes, s.allocs.note)
	}
	for _, a := range s.order {
		if a.walker != nil {
			a.walker.finish(&a.out, s.f)
		}
		if p := a.out.Parent; p != 0 {
			a.out.Notes = append(a.out.Notes, s.parentNote(p))
		}
		s.heap.Allocators = append(s.heap.Allocators, a.out)
	}
	return s.heap
}

// parentNote names the allocator that another one takes its memory from.
func (s *heapSurvey) parentNote(addr uint64) string {
	for _, a := range s.order {
		if a.out.Addr == addr {
			return fmt.Sprintf("its memory is of the %s allocator at %#x and counted there as used", a.out.Kind, addr)
		}
	}
	return fmt.Sprintf("its memory is of an allocator at %#x, which is not in the list of allocators", addr)
}
