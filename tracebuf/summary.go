package tracebuf

import (
	"cmp"
	"slices"
)

// Row is what happened under one name.
type Row struct {
	Name string
	// Count is the number of spans, or of records of a tracepoint that has no
	// end.
	Count, Errors int
	// Total and Max are durations in nanoseconds; both 0 with Instant.
	Total, Max uint64
	// Instant: a tracepoint without X_ret or X_err.
	Instant bool
}

// Summary counts records and spans by name.
type Summary struct{ rows map[string]*Row }

// NewSummary returns an empty summary.
func NewSummary() *Summary { return &Summary{rows: map[string]*Row{}} }

// AddSpan counts a span.
func (s *Summary) AddSpan(sp *Span) {
	r := s.row(sp.Name)
	r.Count++
	if sp.Failed {
		r.Errors++
	}
	r.Total += sp.Duration()
	r.Max = max(r.Max, sp.Duration())
}

// AddInstant counts a record that neither begins nor ends a span.
func (s *Summary) AddInstant(r *Record) {
	row := s.row(r.Def.Name)
	row.Count++
	row.Instant = true
}

func (s *Summary) row(name string) *Row {
	r := s.rows[name]
	if r == nil {
		r = &Row{Name: name}
		s.rows[name] = r
	}
	return r
}

// Rows returns the rows, those that took most time first.
func (s *Summary) Rows() []Row {
	rows := make([]Row, 0, len(s.rows))
	for _, r := range s.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

func sortByPosition(list []Unmatched) {
	slices.SortFunc(list, func(a, b Unmatched) int { return cmp.Compare(a.Record.Offset, b.Record.Offset) })
}
