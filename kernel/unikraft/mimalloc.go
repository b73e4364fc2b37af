package unikraft

import (
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
)

// mimalloc is lib-mimalloc's allocator during a survey. The heaps of the thread
// that set it up are walked; those of further threads hang on their own storage.
// Its statistics say how many those are, how much it took from the system, and,
// where built with MI_STAT, how much of it is in use.
type mimalloc struct {
	addr, size                         uint64
	reserved, committed, used, threads field
	state                              []byte
	err                                error
	pages                              *miPages
	unwalked                           string // why the heaps are not walked
}

func openMimalloc(s *heapSurvey, _ uint64) (allocWalker, []string) {
	l := &layouter{img: s.k.cfg.Image}
	addr, _, ok := s.k.symbol("_mi_stats_main")
	m := &mimalloc{
		addr:      addr,
		size:      l.size("mi_stats_s"),
		reserved:  l.required("mi_stats_s", "reserved.current"),
		committed: l.required("mi_stats_s", "committed.current"),
		used:      l.optional("mi_stats_s", "malloc.current"),
		threads:   l.optional("mi_stats_s", "threads.current"),
	}
	switch {
	case !ok:
		l.missing = append([]string{"no symbol _mi_stats_main, mimalloc's statistics"}, l.missing...)
	case len(l.missing) == 0 && m.size == 0:
		l.missing = append(l.missing, "struct mi_stats_s has no usable size")
	}
	layout, missing := newMiLayout(s.k.cfg.Image)
	switch heap, _, ok := s.k.symbol("_mi_heap_main"); {
	case !ok:
		m.unwalked = "no symbol _mi_heap_main"
	case len(missing) > 0:
		m.unwalked = missing[0]
	default:
		m.pages = &miPages{l: layout, main: heap}
	}
	return m, l.missing
}

func (m *mimalloc) step(f *fetcher) {
	if m.state == nil && m.err == nil {
		m.state, _, m.err = f.get(m.addr, int(m.size))
	}
	if m.pages != nil {
		m.pages.step(f)
	}
}

func (m *mimalloc) finish(out *kernel.Allocator, _ *fetcher) {
	if m.pages != nil {
		m.pages.finish(out)
	} else {
		out.Notes = append(out.Notes, "its pages are not walked ("+m.unwalked+"): free blocks and the largest are not known")
	}
	if m.state == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("mimalloc's statistics at %#x are not readable: %v", m.addr, m.err))
		return
	}
	if n, ok := m.threads.get(m.state); ok && n != 0 && out.Known {
		out.Known = false
		out.Notes = append(out.Notes, fmt.Sprintf("%d more threads have heaps of their own, which are not found: of the first thread's %d B are in use and %d B free", int64(n), out.Used, out.Free))
		out.Used, out.Free, out.Total, out.Largest = 0, 0, 0, 0
	}
	reserved, committed := int64(m.reserved.value(m.state)), int64(m.committed.value(m.state))
	text := fmt.Sprintf("mimalloc counts %d B committed of %d B reserved", committed, reserved)
	switch used, ok := m.used.get(m.state); {
	case reserved < 0 || committed < 0:
		text += ": negative numbers, damaged or not counted on all threads yet"
	case ok && used != 0:
		text += fmt.Sprintf(", %d B of it in use", int64(used))
	}
	out.Notes = append(out.Notes, text)
}

// areas: where a page's blocks begin no record tells.
func (m *mimalloc) areas(*fetcher) []kernel.HeapArea { return nil }
