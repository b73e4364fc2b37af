package exporters

import "time"

// MetricKind is how a metric's values are to be taken.
type MetricKind uint8

const (
	// MetricGauge is a value as it is now.
	MetricGauge MetricKind = iota
	// MetricCounter is a sum since Point.Start that only grows.
	MetricCounter
	// MetricHistogram counts values in buckets since Point.Start.
	MetricHistogram
)

// Metric is a number, or one for each set of attributes.
type Metric struct {
	// Name has dots between its words as in OpenTelemetry ("ukdbg.guest.stopped");
	// forms with other conventions turn it into theirs.
	Name string
	// Description is a sentence for people.
	Description string
	// Unit is in UCUM's notation: "s", "By", "1" for a share; "{sample}" or "" for
	// things that are counted.
	Unit   string
	Kind   MetricKind
	Points []Point
}

// Point is the value of a metric for one set of attributes.
type Point struct {
	// Attrs tell the point from the others of its metric; their number times the
	// number of their values must stay small.
	Attrs []Attr
	// Start is since when a counter or histogram counts, Time when it was read.
	Start, Time time.Time
	// Value is that of a gauge or counter.
	Value float64

	// A histogram has Count values of the sum Sum. Buckets[i] is the number of
	// those up to and including Bounds[i] and above the bound before; the last
	// bucket, one more than there are bounds, has those above all.
	Count   uint64
	Sum     float64
	Bounds  []float64
	Buckets []uint64
}
