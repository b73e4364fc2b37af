package otlpprofiles_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/otlpprofiles"
	"github.com/ukdbg/ukdbg/exporters/spool"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/collectortest"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// everySignal is what a moment of a guest gives: two spans, a log record, a metric,
// a profile, each with its number.
func everySignal(t *testing.T, i int) []delivery.Batch {
	t.Helper()
	opt := otlp.Options{Resource: otlp.Resource{ServiceName: "shop", InstanceID: "i-1"}}
	id := uint64(2*i + 1)
	at := time.Unix(1_700_000_000+int64(i), 0)
	var all []delivery.Batch
	for _, seq := range []func(func(delivery.Batch, error) bool){
		otlp.EncodeTraces(exporters.Of(
			exporters.Span{ID: id + 1, Parent: id, Root: id, Name: "read", Start: 1, End: 2},
			exporters.Span{ID: id, Name: "request", Start: 1, End: 3}), opt),
		otlp.EncodeLogs([]exporters.LogRecord{{Time: at, Observed: at, Severity: exporters.SeverityFatal, Body: "fault", ID: fmt.Sprint("f", i)}}, opt),
		otlp.EncodeMetrics([]exporters.Metric{{Name: "ukdbg.guest.stopped", Unit: "s", Kind: exporters.MetricCounter, Points: []exporters.Point{{Time: at, Value: float64(i)}}}}, opt),
	} {
		for b, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
	}
	p := exporttest.Profile()
	p.Start = at
	return append(all, otlpprofiles.Batch(p, otlpprofiles.Options{Resource: opt.Resource}))
}

// A collector that is killed in the middle and comes back gets all four signals:
// nothing is lost, and what it has twice is a batch that was in flight, with the
// same identifiers.
func TestAllSignalsSurviveTheCollector(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			dir := t.TempDir()
			c := collectortest.Run(t, collectortest.Options{Dir: dir, Refuse: 3})
			queues := map[delivery.Signal]*delivery.Queue{}
			for _, s := range []delivery.Signal{delivery.Traces, delivery.Logs, delivery.Metrics, delivery.Profiles} {
				sender, err := otlp.NewSender(transport.Endpoint{URL: map[string]string{"grpc": "grpc://" + c.GRPC, "http": "http://" + c.HTTP}[scheme], Gzip: true})
				if err != nil {
					t.Fatal(err)
				}
				defer sender.Close()
				kept, err := spool.Open(filepath.Join(t.TempDir(), s.String()), 0)
				if err != nil {
					t.Fatal(err)
				}
				defer kept.Close()
				queues[s] = delivery.New(delivery.Options{Name: sender.Name(), Sender: sender, Spool: kept})
			}
			const n = 120
			put := func(from, to int) {
				for i := from; i < to; i++ {
					for _, b := range everySignal(t, i) {
						if err := queues[b.Signal].Put(t.Context(), b); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			put(0, n/3)
			for deadline := time.Now().Add(20 * time.Second); queues[delivery.Profiles].Stats().Accepted == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("nothing arrived: %+v", queues[delivery.Profiles].Stats())
				}
			}
			if err := c.Kill(); err != nil {
				t.Fatal(err)
			}
			put(n/3, n)
			again, err := collectortest.Start(context.WithoutCancel(t.Context()), collectortest.Options{Dir: dir, GRPC: c.GRPC, HTTP: c.HTTP})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := again.Close(); err != nil {
					t.Error(err)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for s, q := range queues {
				if err := q.Close(ctx); err != nil {
					t.Errorf("%s: %v", s, err)
				}
				st := q.Stats()
				items := map[delivery.Signal]int{delivery.Traces: 2 * n, delivery.Logs: n, delivery.Metrics: n, delivery.Profiles: 2 * n}[s]
				if st.Accepted != items || st.Waiting != 0 || len(st.Dropped) > 0 {
					t.Errorf("%s: %+v", s, st)
				}
			}
			for what, ids := range receivedIDs(t, again) {
				want := map[string]int{"spans": 2 * n, "logs": n, "metrics": n, "profiles": 2 * n}[what]
				once := map[string]bool{}
				var again []int
				for i, id := range ids {
					if once[id] {
						again = append(again, i)
					}
					once[id] = true
				}
				// What comes twice is of the one request that was in flight at the kill,
				// and comes right after it.
				if len(once) != want || len(again) > 0 && again[len(again)-1]-again[0] != len(again)-1 {
					t.Errorf("%s: %d with %d identifiers, want %d; again %v", what, len(ids), len(once), want, again)
				}
			}
		})
	}
}

// receivedIDs lists what tells each item received from the others of its signal.
func receivedIDs(t *testing.T, c *collectortest.Collector) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	spans, err := c.Spans()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range spans {
		ids["spans"] = append(ids["spans"], s.TraceID().String()+s.SpanID().String())
	}
	records, err := c.Logs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		uid, _ := r.Attributes().Get("log.record.uid")
		ids["logs"] = append(ids["logs"], uid.Str())
	}
	metrics, err := c.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		p := m.Sum().DataPoints().At(0)
		if float64(p.Timestamp().AsTime().Unix()-1_700_000_000) != p.DoubleValue() {
			t.Errorf("%v at %v", p.DoubleValue(), p.Timestamp())
		}
		ids["metrics"] = append(ids["metrics"], p.Timestamp().String())
	}
	profiles, err := c.Profiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range profiles {
		for _, r := range d.ResourceProfiles().All() {
			for _, s := range r.ScopeProfiles().All() {
				for _, p := range s.Profiles().All() {
					ids["profiles"] = append(ids["profiles"], p.ProfileID().String())
				}
			}
		}
	}
	return ids
}
