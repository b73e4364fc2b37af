package analysis

import (
	"cmp"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Row is what happened under one name in all guests.
type Row struct {
	Name string
	// Count is the number of spans, or with Instant of records of a tracepoint
	// that has no end.
	Count, Errors, Ambiguous uint64
	Instant                  bool
	// AcrossLost of them had records lost between begin and end, which may be of
	// two spans. They are in none of the times that follow.
	AcrossLost uint64
	// Time has the durations in nanoseconds; empty with Instant. Self is the
	// part spent in no span inside, Waited the part in which the thread did not
	// run.
	Time         hist.Histogram
	Self, Waited uint64
}

// Summary counts and times by name.
type Summary struct {
	rows map[string]*Row
	// byDef finds a row without its name.
	last *stream.Guest
	defs []*Row
}

// NewSummary returns an empty summary.
func NewSummary() *Summary { return &Summary{rows: map[string]*Row{}} }

// row returns that of a definition's name.
func (s *Summary) row(g *stream.Guest, def int) *Row {
	if s.last != g || len(s.defs) != len(g.Definitions.All) {
		s.last, s.defs = g, make([]*Row, len(g.Definitions.All))
	}
	if r := s.defs[def]; r != nil {
		return r
	}
	name := g.Definitions.All[def].Name
	r := s.rows[name]
	if r == nil {
		r = &Row{Name: name}
		s.rows[name] = r
	}
	s.defs[def] = r
	return r
}

// Interval counts a span; it is a Visitor's.
func (s *Summary) Interval(seen *Seen, iv *tracebuf.Interval) error {
	s.add(s.row(seen.Guest, iv.Base), iv)
	return nil
}

func (s *Summary) add(r *Row, iv *tracebuf.Interval) {
	r.Count++
	if iv.Failed {
		r.Errors++
	}
	if iv.Ambiguous {
		r.Ambiguous++
	}
	if iv.AcrossLost {
		r.AcrossLost++
		return
	}
	d := iv.Duration()
	r.Time.Add(d)
	if d > iv.Inner {
		r.Self += d - iv.Inner
	}
	r.Waited += iv.Waited
}

// Instant counts a record; it is a Visitor's.
func (s *Summary) Instant(seen *Seen) error {
	r := s.row(seen.Guest, seen.Rec.Def.Index)
	r.Count++
	r.Instant = true
	return nil
}

// Visitor is one that fills the summary.
func (s *Summary) Visitor() Visitor {
	return Visitor{Interval: s.Interval, Instant: s.Instant, Intervals: s.Intervals, Instants: s.Instants}
}

// Intervals counts many spans; it is a Visitor's.
func (s *Summary) Intervals(g *stream.Guest, ivs []tracebuf.Interval) {
	for i := range ivs {
		s.add(s.row(g, ivs[i].Base), &ivs[i])
	}
}

// Instants counts many records; it is a Visitor's.
func (s *Summary) Instants(g *stream.Guest, def int, n uint64) {
	r := s.row(g, def)
	r.Count += n
	r.Instant = true
}

// Rows returns the rows, those that took most time first.
func (s *Summary) Rows() []*Row {
	rows := make([]*Row, 0, len(s.rows))
	for _, r := range s.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(b.Time.Sum(), a.Time.Sum()), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// SortBySelf puts those first that took most time in themselves.
func SortBySelf(rows []*Row) {
	slices.SortFunc(rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
}
