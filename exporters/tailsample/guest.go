package tailsample

import (
	"iter"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// Guest decides upon the traces of one run of a guest. Metrics may be called while
// another goroutine samples.
type Guest struct {
	host     *Host
	instance string
	start    time.Time

	mu      sync.Mutex
	ops     operations
	held    map[uint64]*trace // by root
	order   []uint64          // roots in the order they were first held
	spans   int               // held in all
	settled settled
}

// trace is what is held of one.
type trace struct {
	spans       []exporters.Span
	failed      bool
	first, last int64
}

// Guest returns a guest of the host. The instance is that of its identifiers:
// otlp.Resource.InstanceID.
func (h *Host) Guest(instance string) *Guest {
	return &Guest{host: h, instance: instance, start: h.now(), held: map[uint64]*trace{}, ops: operations{most: h.policy.MaxOperations}}
}

// Sample returns the spans to keep. Spans come in order of their ends, as those of
// exporters.Trace do; those of a trace that has not ended are held for the next
// call. The kept ones of a trace follow one another, its outermost last.
func (g *Guest) Sample(spans iter.Seq2[exporters.Span, error]) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for s, err := range spans {
			if err != nil {
				yield(exporters.Span{}, err)
				return
			}
			for _, k := range g.take(&s) {
				if !yield(k, nil) {
					return
				}
			}
		}
	}
}

// Flush decides upon all that is held: the guest is gone.
func (g *Guest) Flush() []exporters.Span {
	g.mu.Lock()
	defer g.mu.Unlock()
	var kept []exporters.Span
	for len(g.order) > 0 {
		kept = append(kept, g.giveUp(g.order[0])...)
	}
	return kept
}

// take counts a span and returns what is to be kept now.
func (g *Guest) take(s *exporters.Span) []exporters.Span {
	g.mu.Lock()
	defer g.mu.Unlock()
	root := s.Root
	if root == 0 {
		root = s.ID
	}
	op := g.ops.of(s.Name)
	op.count(s)
	if root == s.ID {
		return g.end(s, op)
	}
	if reason, ok := g.settled.of(root); ok {
		// Late: the trace was decided upon.
		if kept, _ := g.host.decide(reason, 0, 1); kept {
			return []exporters.Span{*s}
		}
		return nil
	}
	g.hold(root, s)
	var kept []exporters.Span
	if len(g.held[root].spans) > g.host.policy.MaxHeld/4 {
		kept = g.giveUp(root)
	}
	for g.spans > g.host.policy.MaxHeld {
		kept = append(kept, g.giveUp(g.order[0])...)
	}
	return kept
}

// hold keeps a span until its trace ends.
func (g *Guest) hold(root uint64, s *exporters.Span) {
	t := g.held[root]
	if t == nil {
		t = &trace{first: s.Start, last: s.End}
		g.held[root] = t
		g.order = append(g.order, root)
	}
	t.spans = append(t.spans, *s)
	t.failed = t.failed || s.Err
	t.first, t.last = min(t.first, s.Start), max(t.last, s.End)
	g.spans++
}

// end decides upon a trace whose outermost span came.
func (g *Guest) end(s *exporters.Span, op *operation) []exporters.Span {
	root := s.ID
	reason, late := g.settled.of(root)
	var spans []exporters.Span
	traces := 1
	if late {
		traces = 0
	} else {
		t := g.drop(root)
		spans = t.spans
		length := max(s.End-s.Start, 0)
		switch {
		case t.failed || s.Err:
			reason = Failed
		case op.slow(length, g.host.policy.Slow):
			reason = Slow
		default:
			reason = g.rest(root)
		}
		op.lasted(length)
	}
	kept, reason := g.host.decide(reason, traces, len(spans)+1)
	if !kept {
		return nil
	}
	last := *s
	last.Attrs = append(last.Attrs[:len(last.Attrs):len(last.Attrs)], exporters.String(ReasonKey, reason))
	return append(spans, last)
}

// giveUp decides upon a trace whose end did not come.
func (g *Guest) giveUp(root uint64) []exporters.Span {
	t := g.drop(root)
	reason := g.rest(root)
	switch slow := g.host.policy.Slow; {
	case t.failed:
		reason = Failed
	case slow > 0 && t.last-t.first >= int64(slow):
		reason = Slow
	}
	kept, reason := g.host.decide(reason, 1, len(t.spans))
	g.host.mu.Lock()
	g.host.early++
	g.host.mu.Unlock()
	g.settled.add(root, reason)
	if !kept {
		return nil
	}
	return t.spans
}

// rest is the reason for a trace that neither failed nor was slow.
func (g *Guest) rest(root uint64) string {
	if g.host.ofShare(g.instance, root) {
		return Share
	}
	return Ordinary
}

// drop takes a trace from what is held; it may have no spans.
func (g *Guest) drop(root uint64) *trace {
	t := g.held[root]
	if t == nil {
		return &trace{}
	}
	delete(g.held, root)
	g.spans -= len(t.spans)
	for i, r := range g.order {
		if r == root {
			g.order = append(g.order[:i], g.order[i+1:]...)
			break
		}
	}
	return t
}

// settled remembers how the traces given up lately were decided upon, for what still
// comes of them.
type settled struct {
	reason map[uint64]string
	ring   [1024]uint64
	n      int
}

func (s *settled) add(root uint64, reason string) {
	if s.reason == nil {
		s.reason = map[uint64]string{}
	}
	slot := &s.ring[s.n%len(s.ring)]
	if s.n >= len(s.ring) {
		delete(s.reason, *slot)
	}
	*slot = root
	s.reason[root] = reason
	s.n++
}

func (s *settled) of(root uint64) (reason string, ok bool) {
	reason, ok = s.reason[root]
	return reason, ok
}
