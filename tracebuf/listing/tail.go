package listing

import "github.com/ukdbg/ukdbg/tracebuf/analysis"

// Tail keeps the last records instead of writing all.
type Tail struct {
	*Lister
	// N is how many, 0 for all, which are written at once.
	N     int
	lines [][]byte
	next  int
}

// Record takes one record; it is a Visitor's.
func (t *Tail) Record(s *analysis.Seen) error {
	if t.N <= 0 {
		return t.Lister.Record(s)
	}
	if len(t.lines) < t.N {
		t.lines = append(t.lines, append([]byte(nil), t.Line(s)...))
		return nil
	}
	t.lines[t.next] = append(t.lines[t.next][:0], t.Line(s)...)
	t.next = (t.next + 1) % t.N
	return nil
}

// Flush writes what is kept.
func (t *Tail) Flush() error {
	for i := range t.lines {
		t.buf = append(t.buf, t.lines[(t.next+i)%len(t.lines)]...)
		if err := t.flushIfFull(); err != nil {
			return err
		}
	}
	t.lines = nil
	return t.Lister.Flush()
}
