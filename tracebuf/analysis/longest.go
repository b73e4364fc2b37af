package analysis

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Kept is a span that outlives the reading of the trace.
type Kept struct {
	tracebuf.Span
	Guest *stream.Guest
	// Unix is the host's time of the begin in nanoseconds, 0 if not known.
	Unix int64
}

// Keep copies a span.
func Keep(s *Seen, sp *tracebuf.Span) Kept {
	k := Kept{Span: *sp, Guest: s.Guest}
	k.Enter, k.Leave = sp.Enter.Clone(), sp.Leave.Clone()
	k.Unix, _, _ = s.SpanUnix(&sp.Interval)
	return k
}

// Longest keeps the longest spans.
type Longest struct {
	// Limit is how many.
	Limit int
	// AcrossLost is how many were left out because records were lost between their
	// begin and their end.
	AcrossLost uint64
	heap       shortestFirst
}

type shortestFirst []Kept

func (h shortestFirst) Len() int           { return len(h) }
func (h shortestFirst) Less(i, j int) bool { return h[i].Duration() < h[j].Duration() }
func (h shortestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *shortestFirst) Push(x any)        { *h = append(*h, x.(Kept)) }
func (h *shortestFirst) Pop() any {
	last := len(*h) - 1
	k := (*h)[last]
	*h = (*h)[:last]
	return k
}

// Span takes a span; it is a Visitor's.
func (l *Longest) Span(s *Seen, sp *tracebuf.Span) error {
	switch {
	case sp.AcrossLost:
		l.AcrossLost++
	case len(l.heap) < l.Limit:
		heap.Push(&l.heap, Keep(s, sp))
	case l.Limit > 0 && sp.Duration() > l.heap[0].Duration():
		l.heap[0] = Keep(s, sp)
		heap.Fix(&l.heap, 0)
	}
	return nil
}

// Spans returns them, the longest first.
func (l *Longest) Spans() []Kept {
	out := slices.Clone([]Kept(l.heap))
	slices.SortFunc(out, func(a, b Kept) int {
		return cmp.Or(cmp.Compare(b.Duration(), a.Duration()), cmp.Compare(a.Start, b.Start))
	})
	return out
}
