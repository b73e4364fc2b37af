package ukdbg

import (
	"errors"
	"iter"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

// counters are values over time: the heap's balance, runnable threads,
// operations in progress, lost records.
func (m *model) counters() iter.Seq2[exporters.Counter, error] {
	return func(yield func(exporters.Counter, error) bool) {
		counters := analysis.NewCounters(func(s *analysis.Seen, name, unit string, value int64) error {
			c := exporters.Counter{Name: name, Unit: unit, Time: int64(s.Rec.Time), Value: value}
			if m.perGuest {
				c.Name = s.Guest.Label() + "/" + name
			}
			if m.dated {
				c.Time = s.Unix() - m.boot
			}
			if !yield(c, nil) {
				return errStop
			}
			return nil
		})
		if err := m.run(counters.Visitor()); err != nil && !errors.Is(err, errStop) {
			yield(exporters.Counter{}, err)
		}
	}
}
