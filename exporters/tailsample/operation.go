package tailsample

import (
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
)

// bounds are the upper ends of the buckets of durations in seconds: a unikernel's
// operations take from below a microsecond to seconds.
var bounds = []float64{1e-6, 10e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 500e-3, 1, 5, 10}

// maxOperations bounds the names that are told apart.
const maxOperations = 100

// operations counts by the name of a span.
type operations struct {
	byName map[string]*operation
	names  []string // in order of appearance
	other  operation
}

// of returns the operation of that name, the common one if there are too many.
func (o *operations) of(name string) *operation {
	if op := o.byName[name]; op != nil {
		return op
	}
	if len(o.names) >= maxOperations {
		return &o.other
	}
	if o.byName == nil {
		o.byName = map[string]*operation{}
	}
	op := &operation{}
	o.byName[name] = op
	o.names = append(o.names, name)
	return op
}

// operation counts the spans of one name.
type operation struct {
	failed  uint64
	spans   uint64  // of which it is known how long they took
	sum     float64 // s
	buckets [15]uint64

	// How long traces with this outermost operation took, in two windows: the one
	// that fills, and the one before.
	now, before hist.Histogram
	limit       int64 // ns; what is longer is slow; 0 while too few were seen
	until       int   // traces to come before the limit is computed anew
}

func (op *operation) count(s *exporters.Span) {
	if s.Err {
		op.failed++
	}
	if s.AcrossLost {
		return
	}
	took := float64(max(s.End-s.Start, 0)) / 1e9
	op.spans++
	op.sum += took
	i, _ := slices.BinarySearch(bounds, took) // the first bound that is not below
	op.buckets[i]++
}

const (
	// window is how many traces the percentile is of, at least; refresh how often
	// it is computed; fewest how many must have been seen.
	window  = 4096
	refresh = 64
	fewest  = 200
)

// slow reports whether a trace of that length, in ns, took longer than 99 % of its
// like.
func (op *operation) slow(took int64) bool { return op.limit > 0 && took > op.limit }

// lasted notes how long a trace took.
func (op *operation) lasted(took int64) {
	op.now.Add(uint64(took))
	if op.until--; op.until > 0 {
		return
	}
	op.until = refresh
	all := &op.before
	if op.before.Count() == 0 {
		all = &op.now
	}
	if all.Count() >= fewest {
		// To the end of its bucket: of durations that are all alike none is slow.
		q := int64(all.Quantile(0.99))
		op.limit = q + q/64
	}
	if op.now.Count() >= window {
		op.before, op.now = op.now, hist.Histogram{}
	}
}

// Points are the durations of all spans by name, and how many of them failed; start
// is since when they are counted.
func (s *Sampler) Points(start, now time.Time, attrs ...exporters.Attr) (durations, errors []exporters.Point) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	add := func(op *operation, which exporters.Attr) {
		p := exporters.Point{Attrs: append(slices.Clone(attrs), which), Start: start, Time: now}
		if op.failed > 0 {
			p.Value = float64(op.failed)
			errors = append(errors, p)
		}
		if op.spans == 0 {
			return
		}
		p.Value, p.Count, p.Sum, p.Bounds, p.Buckets = 0, op.spans, op.sum, slices.Clone(bounds), slices.Clone(op.buckets[:])
		durations = append(durations, p)
	}
	for _, name := range s.ops.names {
		add(s.ops.byName[name], exporters.String("span.name", name))
	}
	add(&s.ops.other, exporters.Bool("otel.metric.overflow", true))
	return durations, errors
}
