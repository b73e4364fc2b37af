package otlp

// traces counts the spans of the traces that are not complete yet. A trace's
// outermost span ends last, so it also ends the count.
type traces struct {
	most int
	open map[uint64]int // by root
}

// maxOpenTraces bounds the counts kept: requests that never end would pile up.
const maxOpenTraces = 1 << 16

// part tells which part of its trace a span belongs to, from 0.
func (t *traces) part(id, root uint64) uint64 {
	n := t.open[root]
	if id == root {
		delete(t.open, root)
		// The outermost span is what the others are linked to: always in the first.
		return 0
	}
	if t.open == nil || len(t.open) >= maxOpenTraces {
		t.open = map[uint64]int{}
	}
	t.open[root] = n + 1
	return uint64(n / t.most)
}
