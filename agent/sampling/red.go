package sampling

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// bounds are the upper ends of the buckets of durations, in seconds.
func bounds() []float64 {
	return []float64{10e-6, 30e-6, 100e-6, 300e-6, 1e-3, 3e-3, 10e-3, 30e-3, 100e-3, 300e-3, 1, 3, 10}
}

// maxNames bounds the names that are told apart; the others are one.
const (
	maxNames = 100
	others   = "others"
)

// red counts spans by name: rate, errors, duration.
type red struct{ byName map[string]*row }

type row struct {
	count, errors uint64
	sum           float64
	buckets       []uint64
}

func (r *red) add(sp *exporters.Span) {
	w := r.byName[sp.Name]
	if w == nil {
		name := sp.Name
		if len(r.byName) >= maxNames {
			name = others
			w = r.byName[name]
		}
		if w == nil {
			if r.byName == nil {
				r.byName = map[string]*row{}
			}
			w = &row{buckets: make([]uint64, len(bounds())+1)}
			r.byName[name] = w
		}
	}
	seconds := max(0, time.Duration(sp.End-sp.Start).Seconds())
	w.count++
	if sp.Err {
		w.errors++
	}
	w.sum += seconds
	i, _ := slices.BinarySearchFunc(bounds(), seconds, func(b, v float64) int { return cmp.Compare(b, v) })
	w.buckets[i]++
}

// Points are the durations of all spans by name, and how many failed. start is since
// when they are counted.
func (s *Sampler) Points(start, now time.Time, attrs ...exporters.Attr) (durations, failed []exporters.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.red.byName)) {
		w := s.red.byName[name]
		of := append(slices.Clone(attrs), exporters.String("span.name", name))
		durations = append(durations, exporters.Point{
			Attrs: of, Start: start, Time: now, Count: w.count, Sum: w.sum, Bounds: bounds(), Buckets: slices.Clone(w.buckets),
		})
		if w.errors > 0 {
			failed = append(failed, exporters.Point{Attrs: of, Start: start, Time: now, Value: float64(w.errors)})
		}
	}
	return durations, failed
}
