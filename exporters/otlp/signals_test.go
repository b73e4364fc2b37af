package otlp_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/collectortest"
)

func faults(n int) []exporters.LogRecord {
	var all []exporters.LogRecord
	for i := range n {
		all = append(all, exporters.LogRecord{
			Time: time.Unix(1_700_000_000, int64(i)), Observed: time.Unix(1_700_000_001, int64(i)), Severity: exporters.SeverityFatal,
			Event: "ukdbg.guest.fault", Body: "page-fault: read through a null pointer\xff", ID: fmt.Sprint("fault-", i),
			Attrs: []exporters.Attr{exporters.String("exception.type", "page-fault"), exporters.Pointer("ukdbg.address", 0x10)},
		})
	}
	return all
}

func measured() []exporters.Metric {
	start, now := time.Unix(1_700_000_000, 0), time.Unix(1_700_000_060, 5)
	guest := []exporters.Attr{exporters.String("service.name", "shop")}
	return []exporters.Metric{
		{Name: "ukdbg.agent.memory", Description: "Memory in use.", Unit: "By", Points: []exporters.Point{{Time: now, Value: 12.5}}},
		{Name: "ukdbg.guest.stopped", Unit: "s", Kind: exporters.MetricCounter, Points: []exporters.Point{{Attrs: guest, Start: start, Time: now, Value: 0.25}, {Start: start, Time: now, Value: 1}}},
		{Name: "none"},
		{Name: "traces.span.metrics.duration", Unit: "s", Kind: exporters.MetricHistogram,
			Points: []exporters.Point{{Attrs: guest, Start: start, Time: now, Count: 10, Sum: 1.5, Bounds: []float64{0.001, 0.01}, Buckets: []uint64{4, 5, 1}}}},
	}
}

func send(t *testing.T, url string, batches iter.Seq2[delivery.Batch, error]) delivery.Stats {
	t.Helper()
	s, err := otlp.NewSender(transport.Endpoint{URL: url, Gzip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st, err := delivery.Push(t.Context(), batches, delivery.PushOptions{Options: delivery.Options{Name: s.Name(), Sender: s}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// A collector reads log records and metrics as they were meant, over each protocol
// and compressed.
func TestLogsAndMetricsReachACollector(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			c := collectortest.Run(t, collectortest.Options{})
			url := map[string]string{"grpc": "grpc://" + c.GRPC, "http": "http://" + c.HTTP + "/v1/traces"}[scheme]
			opt := options(t)
			opt.Batch = 100
			if st := send(t, url, otlp.EncodeLogs(faults(250), opt)); st.Accepted != 250 || st.Batches != 3 {
				t.Errorf("logs: %+v", st)
			}
			records, err := c.Logs()
			if err != nil || len(records) != 250 {
				t.Fatalf("%d log records, %v", len(records), err)
			}
			r := records[249]
			if got := fmt.Sprint(r.Attributes().AsRaw()); got != "map[exception.type:page-fault log.record.uid:fault-249 ukdbg.address:0x10]" {
				t.Errorf("attributes %s", got)
			}
			if r.Body().Str() != "page-fault: read through a null pointer\uFFFD" || r.EventName() != "ukdbg.guest.fault" || r.SeverityNumber() != 21 || r.SeverityText() != "FATAL" ||
				r.Timestamp().AsTime().UnixNano() != 1_700_000_000e9+249 || r.ObservedTimestamp().AsTime().UnixNano() != 1_700_000_001e9+249 || r.Scope.Name() != otlp.LogScope {
				t.Errorf("%+v", r)
			}
			if v, _ := r.Resource.Attributes().Get("service.name"); v.Str() != "shop" {
				t.Errorf("service %q", v.Str())
			}

			if st := send(t, url, otlp.EncodeMetrics(measured(), options(t))); st.Accepted != 4 || st.Batches != 1 {
				t.Errorf("metrics: %+v", st)
			}
			metrics, err := c.Metrics()
			if err != nil || len(metrics) != 3 {
				t.Fatalf("%d metrics, %v", len(metrics), err)
			}
			gauge, sum, hist := metrics[0], metrics[1].Sum(), metrics[2].Histogram()
			if gauge.Name() != "ukdbg.agent.memory" || gauge.Unit() != "By" || gauge.Description() != "Memory in use." || gauge.Gauge().DataPoints().At(0).DoubleValue() != 12.5 || gauge.Scope.Name() != otlp.MetricScope {
				t.Errorf("gauge %+v", gauge)
			}
			p := sum.DataPoints().At(0)
			if !sum.IsMonotonic() || sum.AggregationTemporality() != pmetric.AggregationTemporalityCumulative || sum.DataPoints().Len() != 2 || p.DoubleValue() != 0.25 ||
				p.StartTimestamp().AsTime().Unix() != 1_700_000_000 || p.Timestamp().AsTime().UnixNano() != 1_700_000_060e9+5 || fmt.Sprint(p.Attributes().AsRaw()) != "map[service.name:shop]" {
				t.Errorf("sum %+v", p)
			}
			h := hist.DataPoints().At(0)
			if h.Count() != 10 || h.Sum() != 1.5 || fmt.Sprint(h.ExplicitBounds().AsRaw(), h.BucketCounts().AsRaw()) != "[0.001 0.01] [4 5 1]" || hist.AggregationTemporality() != pmetric.AggregationTemporalityCumulative {
				t.Errorf("histogram %+v", h)
			}
		})
	}
}

// Requests of several guests are one when put one after another.
func TestRequestsJoin(t *testing.T) {
	c := collectortest.Run(t, collectortest.Options{})
	var joined delivery.Batch
	for _, service := range []string{"a", "b"} {
		for b := range otlp.EncodeLogs(faults(3), otlp.Options{Resource: otlp.Resource{ServiceName: service}}) {
			joined = delivery.Batch{Signal: b.Signal, Items: joined.Items + b.Items, Payload: append(joined.Payload, b.Payload...)}
		}
	}
	send(t, "http://"+c.HTTP, func(yield func(delivery.Batch, error) bool) { yield(joined, nil) })
	records, err := c.Logs()
	if err != nil || len(records) != 6 {
		t.Fatal(len(records), err)
	}
	if v, _ := records[5].Resource.Attributes().Get("service.name"); v.Str() != "b" {
		t.Errorf("the last is of %q", v.Str())
	}
}

// Credentials are asked for anew, and without them nothing is sent.
func TestAuthorize(t *testing.T) {
	url, seen, _ := script(t, false, false, answer{status: 200})
	tokens := []string{"one", "two"}
	s, err := otlp.NewSender(transport.Endpoint{URL: url, Authorize: func() (string, error) {
		if len(tokens) == 0 {
			return "", fmt.Errorf("the file is gone")
		}
		token := tokens[0]
		tokens = tokens[1:]
		return transport.Bearer(token), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		_, err = s.Send(t.Context(), delivery.Batch{Signal: delivery.Traces})
		if (err != nil) != (i == 2) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := (*seen)[0].Header.Get("Authorization") + (*seen)[1].Header.Get("Authorization"); len(*seen) != 2 || got != "Bearer oneBearer two" || !strings.Contains(err.Error(), "the file is gone") {
		t.Errorf("%d requests, %q, %v", len(*seen), got, err)
	}
}
