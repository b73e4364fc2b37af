package tailsample

import (
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
)

// bounds are those of the histogram of durations in seconds: a unikernel's operations
// take from below a microsecond to seconds.
var bounds = []float64{1e-6, 10e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 500e-3, 1, 5, 10}

// operations counts by the name of a span.
type operations struct {
	most   int
	byName map[string]*operation
	names  []string // in order of appearance
	other  operation
}

// of returns the operation of that name, the common one if there are too many.
func (o *operations) of(name string) *operation {
	if op := o.byName[name]; op != nil {
		return op
	}
	if len(o.names) >= o.most {
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
	ok, failed durations

	// How long traces with this outermost operation took, in two windows: the one
	// that fills, and the one before.
	now, before hist.Histogram
	limit       int64 // what is longer is slow; 0 while too few were seen
	until       int   // traces to come before the limit is computed anew
}

// durations is a histogram in seconds.
type durations struct {
	count   uint64
	sum     float64
	buckets [15]uint64 // one more than there are bounds
}

func (d *durations) add(ns int64) {
	s := float64(max(ns, 0)) / 1e9
	d.count++
	d.sum += s
	i, _ := slices.BinarySearch(bounds, s) // the first bound that is not below
	d.buckets[i]++
}

func (op *operation) count(s *exporters.Span) {
	d := &op.ok
	if s.Err {
		d = &op.failed
	}
	d.add(s.End - s.Start)
}

const (
	// window is how many traces the percentile is of, at least; refresh how often
	// it is computed; fewest how many must have been seen.
	window  = 4096
	refresh = 64
	fewest  = 200
)

// slow reports whether a trace of that length, in ns, is slow.
func (op *operation) slow(length int64, limit time.Duration) bool {
	if limit > 0 {
		return length >= int64(limit)
	}
	return op.limit > 0 && length > op.limit
}

// lasted notes how long a trace took.
func (op *operation) lasted(length int64) {
	op.now.Add(uint64(length))
	if op.until--; op.until > 0 {
		return
	}
	op.until = refresh
	all := op.before
	if op.before.Count() == 0 {
		all = op.now
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

// Metrics returns rate, errors and durations of the guest's operations, of all spans
// since Start: the guest's first.
func (g *Guest) Metrics(now time.Time) []exporters.Metric {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := exporters.Metric{Name: "traces.span.metrics.calls", Unit: "{call}", Kind: exporters.MetricCounter,
		Description: "Operations of the guest that ended, all of them, by name and status."}
	times := exporters.Metric{Name: "traces.span.metrics.duration", Unit: "s", Kind: exporters.MetricHistogram,
		Description: "How long operations of the guest took, all of them, by name and status."}
	add := func(op *operation, name exporters.Attr) {
		for _, d := range []struct {
			status string
			*durations
		}{{"STATUS_CODE_UNSET", &op.ok}, {"STATUS_CODE_ERROR", &op.failed}} {
			if d.count == 0 {
				continue
			}
			p := exporters.Point{Attrs: []exporters.Attr{name, exporters.String("status.code", d.status)}, Start: g.start, Time: now, Value: float64(d.count)}
			calls.Points = append(calls.Points, p)
			p.Value, p.Count, p.Sum, p.Bounds, p.Buckets = 0, d.count, d.sum, bounds, slices.Clone(d.buckets[:])
			times.Points = append(times.Points, p)
		}
	}
	for _, name := range g.ops.names {
		add(g.ops.byName[name], exporters.String("span.name", name))
	}
	add(&g.ops.other, exporters.Bool("otel.metric.overflow", true))
	return []exporters.Metric{calls, times}
}
