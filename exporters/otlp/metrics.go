package otlp

import (
	"encoding/binary"
	"iter"
	"math"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// MetricScope is the instrumentation scope of metrics.
const MetricScope = "github.com/ukdbg/ukdbg"

// Field numbers of opentelemetry/proto/metrics/v1/metrics.proto.
const (
	metricName        = 1
	metricDescription = 2
	metricUnit        = 3
	metricGauge       = 5
	metricSum         = 7
	metricHistogram   = 9

	dataPoints       = 1 // of Gauge, Sum and Histogram
	dataTemporality  = 2
	sumMonotonic     = 3
	cumulative       = 2
	pointStart       = 2 // of NumberDataPoint and HistogramDataPoint
	pointTime        = 3
	numberDouble     = 4
	numberAttributes = 7

	histogramCount      = 4
	histogramSum        = 5
	histogramBuckets    = 6
	histogramBounds     = 7
	histogramAttributes = 9
)

// EncodeMetrics returns export requests of the metrics; a batch's items are their
// points. Its payload is valid until the next one is asked for.
func EncodeMetrics(metrics []exporters.Metric, opt Options) iter.Seq2[delivery.Batch, error] {
	return func(yield func(delivery.Batch, error) bool) {
		e := newEnvelope(opt, MetricScope)
		points := 0
		b := batcher{signal: delivery.Metrics, envelope: &e, limit: opt.limit(), yield: func(b delivery.Batch, err error) bool {
			b.Items, points = points, 0 // not the number of metrics
			return yield(b, err)
		}}
		for i := range metrics {
			m := &metrics[i]
			if len(m.Points) == 0 {
				continue
			}
			if !b.add(metric(m)) {
				return
			}
			points += len(m.Points)
		}
		b.flush()
	}
}

func metric(m *exporters.Metric) []byte {
	b := wire.AppendString(nil, metricName, m.Name)
	if m.Description != "" {
		b = wire.AppendString(b, metricDescription, m.Description)
	}
	if m.Unit != "" {
		b = wire.AppendString(b, metricUnit, m.Unit)
	}
	var data []byte
	for i := range m.Points {
		data = wire.AppendBytes(data, dataPoints, point(m.Kind, &m.Points[i]))
	}
	switch m.Kind {
	case exporters.MetricCounter:
		data = wire.AppendVarint(data, dataTemporality, cumulative)
		return wire.AppendBytes(b, metricSum, wire.AppendVarint(data, sumMonotonic, 1))
	case exporters.MetricHistogram:
		return wire.AppendBytes(b, metricHistogram, wire.AppendVarint(data, dataTemporality, cumulative))
	}
	return wire.AppendBytes(b, metricGauge, data)
}

func point(kind exporters.MetricKind, p *exporters.Point) []byte {
	var b []byte
	if kind != exporters.MetricGauge {
		b = wire.AppendFixed64(b, pointStart, unixNano(p.Start))
	}
	b = wire.AppendFixed64(b, pointTime, unixNano(p.Time))
	if kind != exporters.MetricHistogram {
		b = wire.AppendFixed64(b, numberDouble, math.Float64bits(p.Value))
		return appendAttrs(b, numberAttributes, p.Attrs)
	}
	b = wire.AppendFixed64(b, histogramCount, p.Count)
	b = wire.AppendFixed64(b, histogramSum, math.Float64bits(p.Sum))
	b = wire.AppendLength(b, histogramBuckets, 8*len(p.Buckets))
	for _, n := range p.Buckets {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = wire.AppendLength(b, histogramBounds, 8*len(p.Bounds))
	for _, v := range p.Bounds {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return appendAttrs(b, histogramAttributes, p.Attrs)
}
