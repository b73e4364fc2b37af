package unikraft

import (
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
)

// mimalloc is lib-mimalloc's allocator during a survey. Its heaps hang on
// threads' local storage; what it counts of itself is in mimalloc's statistics,
// which say how much it took from the system, and, where built with MI_STAT, how
// much of it is in use.
type mimalloc struct {
	addr, size                uint64
	reserved, committed, used field
	state                     []byte
	err                       error
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
	}
	switch {
	case !ok:
		l.missing = append([]string{"no symbol _mi_stats_main, mimalloc's statistics"}, l.missing...)
	case len(l.missing) == 0 && m.size == 0:
		l.missing = append(l.missing, "struct mi_stats_s has no usable size")
	}
	return m, l.missing
}

func (m *mimalloc) step(f *fetcher) {
	if m.state == nil && m.err == nil {
		m.state, _, m.err = f.get(m.addr, int(m.size))
	}
}

func (m *mimalloc) finish(out *kernel.Allocator, _ *fetcher) {
	if m.state == nil {
		out.Notes = append(out.Notes, fmt.Sprintf("mimalloc's statistics at %#x are not readable: %v", m.addr, m.err))
		return
	}
	reserved, committed := int64(m.reserved.value(m.state)), int64(m.committed.value(m.state))
	text := fmt.Sprintf("mimalloc counts %d B committed of %d B reserved", committed, reserved)
	switch used, ok := m.used.get(m.state); {
	case reserved < 0 || committed < 0:
		text += ": negative numbers, damaged or not counted on all threads yet"
	case ok && used != 0:
		text += fmt.Sprintf(", %d B of it in use", int64(used))
	default:
		text += "; how much of it is in use is not counted (built without MI_STAT)"
	}
	out.Notes = append(out.Notes, text, "its pages are not walked: free blocks and the largest are not known")
}

func (m *mimalloc) areas(*fetcher) []kernel.HeapArea { return nil }
