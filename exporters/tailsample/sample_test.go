package tailsample

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// clock is one that only moves when told.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func host(p Policy) (*Host, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	return newHost(p, c.now), c
}

// request is a trace of three spans, its outermost last.
func request(i int, length time.Duration, failed bool) []exporters.Span {
	root := uint64(3*i + 1)
	start := int64(i) * 1e6
	attrs := make([]exporters.Attr, 1, 4)
	attrs[0] = exporters.Int("i", int64(i))
	return []exporters.Span{
		{ID: root + 1, Parent: root, Root: root, Name: "read", Start: start, End: start + 100},
		{ID: root + 2, Parent: root, Root: root, Name: "write", Start: start + 100, End: start + 200, Err: failed},
		{ID: root, Name: "request", Start: start, End: start + int64(length), Attrs: attrs},
	}
}

// sample returns the kept spans and, by root, the reasons.
func sample(t testing.TB, g *Guest, spans []exporters.Span) (kept []exporters.Span, reasons map[uint64]string) {
	t.Helper()
	reasons = map[uint64]string{}
	for s, err := range g.Sample(exporters.Of(spans...)) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, s)
		for _, a := range s.Attrs {
			if a.Key == ReasonKey {
				reasons[s.ID] = a.Str
			}
		}
	}
	return kept, reasons
}

// value is that of the point with the given attribute values.
func value(t testing.TB, metrics []exporters.Metric, name string, attrs ...string) float64 {
	t.Helper()
	for _, m := range metrics {
		if m.Name != name {
			continue
		}
		for _, p := range m.Points {
			var have []string
			for _, a := range p.Attrs {
				have = append(have, a.Str)
			}
			if slices.Equal(have, attrs) {
				return p.Value + float64(p.Count)
			}
		}
	}
	return 0
}

// All failed and slow traces are kept, and 1 % of the rest: the same ones each time.
// What is counted is all there was.
func TestWhatIsKept(t *testing.T) {
	const n = 40_000
	var spans []exporters.Span
	want := map[uint64]string{}
	for i := range n {
		length, failed := 500*time.Microsecond+time.Duration(i%97)*time.Microsecond, false
		switch {
		case i%4001 == 4000:
			failed = true
			want[uint64(3*i+1)] = Failed
		case i%1009 == 1008:
			length = 20 * time.Millisecond
			want[uint64(3*i+1)] = Slow
		}
		spans = append(spans, request(i, length, failed)...)
	}
	run := func(p Policy, instance string) (map[uint64]string, *Host, *Guest) {
		p.SpansPerSecond = -1
		h, _ := host(p)
		g := h.Guest(instance)
		kept, reasons := sample(t, g, spans)
		if len(kept) != 3*len(reasons) {
			t.Errorf("%d spans of %d traces", len(kept), len(reasons))
		}
		for i := 0; i+2 < len(kept); i += 3 {
			if root := kept[i+2]; root.Root != 0 || kept[i].Root != root.ID || kept[i+1].Root != root.ID {
				t.Fatalf("trace %d is torn", i/3)
			}
		}
		return reasons, h, g
	}
	fixed := Policy{Slow: 10 * time.Millisecond}
	reasons, h, g := run(fixed, "i-1")
	byReason := map[string]int{}
	for root, reason := range reasons {
		byReason[reason]++
		if w := want[root]; w != "" && w != reason || w == "" && reason != Share {
			t.Errorf("trace %d is kept as %s, want %q", root, reason, w)
		}
	}
	rest := float64(n - len(want))
	if byReason[Failed]+byReason[Slow] != len(want) || math.Abs(float64(byReason[Share])-0.01*rest) > 4*math.Sqrt(0.01*rest) {
		t.Errorf("kept %v of %d traces, %d of them failed or slow", byReason, n, len(want))
	}
	again, _, _ := run(fixed, "i-1")
	other, _, _ := run(fixed, "i-2")
	same := 0
	for root := range reasons {
		if again[root] != reasons[root] {
			t.Errorf("trace %d: %q, the second time %q", root, reasons[root], again[root])
		}
		if reasons[root] == Share && other[root] == Share {
			same++
		}
	}
	if same > byReason[Share]/4 {
		t.Errorf("of another guest %d of the same positions are kept", same)
	}

	// Without a limit what is slower than 99 % is slow; 20 ms are.
	lately, _, _ := run(Policy{}, "i-1")
	slow, missed := 0, 0
	for _, reason := range lately {
		if reason == Slow {
			slow++
		}
	}
	for root, reason := range want {
		if reason == Slow && lately[root] != Slow && root > 3*fewest {
			missed++
		}
	}
	if slow > n/80 || missed > 0 {
		t.Errorf("%d traces are slow, %d of the slow ones are not kept", slow, missed)
	}

	m := append(g.Metrics(time.Time{}), h.Metrics(time.Time{})...)
	failed := float64(n / 4001)
	for _, c := range []struct {
		want  float64
		name  string
		attrs []string
	}{
		{n, "traces.span.metrics.calls", []string{"read", "STATUS_CODE_UNSET"}},
		{n - failed, "traces.span.metrics.calls", []string{"write", "STATUS_CODE_UNSET"}},
		{failed, "traces.span.metrics.calls", []string{"write", "STATUS_CODE_ERROR"}},
		{n, "traces.span.metrics.duration", []string{"request", "STATUS_CODE_UNSET"}},
		{failed, "ukdbg.sampling.traces", []string{"kept", Failed}},
		{3 * float64(byReason[Slow]), "ukdbg.sampling.spans", []string{"kept", Slow}},
		{float64(byReason[Share]), "ukdbg.sampling.traces", []string{"kept", Share}},
		{n - float64(len(reasons)), "ukdbg.sampling.traces", []string{"left_out", Ordinary}},
	} {
		if got := value(t, m, c.name, c.attrs...); got != c.want {
			t.Errorf("%s %v is %v, want %v", c.name, c.attrs, got, c.want)
		}
	}
	for _, metric := range m {
		for _, p := range metric.Points {
			if metric.Kind != exporters.MetricHistogram || p.Attrs[0].Str != "request" {
				continue
			}
			if p.Buckets[5]+p.Buckets[4] == 0 || p.Buckets[8] == 0 || math.Abs(p.Sum/float64(p.Count)-567e-6) > 50e-6 {
				t.Errorf("durations %+v", p)
			}
		}
	}
}

// The budget holds for all guests together, is refilled by time, and ordinary
// traces do not use up what failed ones may need.
func TestBudget(t *testing.T) {
	h, c := host(Policy{SpansPerSecond: 300, Burst: 600, Share: 1})
	one, two := h.Guest("1"), h.Guest("2")
	count := func(g *Guest, from, to int, failed bool) int {
		n := 0
		for i := from; i < to; i++ {
			kept, _ := sample(t, g, request(i, time.Millisecond, failed))
			n += len(kept)
		}
		return n
	}
	if n := count(one, 0, 1000, false); n != 300 {
		t.Errorf("%d ordinary spans fit into the half of 600", n)
	}
	if n := count(two, 0, 1000, true); n != 300 {
		t.Errorf("%d failed spans fit into the rest", n)
	}
	c.t = c.t.Add(time.Second)
	if n := count(two, 1000, 2000, true); n != 300 {
		t.Errorf("%d spans fit into the next second", n)
	}
	c.t = c.t.Add(time.Hour)
	if n := count(one, 1000, 2000, true); n != 600 {
		t.Errorf("%d spans after an hour", n)
	}
	// One trace beyond the burst is kept when the budget is full, and owes for it.
	c.t = c.t.Add(time.Hour)
	var long []exporters.Span
	for i := range 900 {
		long = append(long, exporters.Span{ID: uint64(100_001 + i), Parent: 100_000, Root: 100_000, Name: "read", Err: true})
	}
	kept, _ := sample(t, one, append(long, exporters.Span{ID: 100_000, Name: "request"}))
	c.t = c.t.Add(time.Second)
	if n := count(two, 3000, 3100, true); len(kept) != 901 || n != 0 {
		t.Errorf("%d spans of a long trace, %d in the second after", len(kept), n)
	}
	m := h.Metrics(c.now())
	if kept, left := value(t, m, "ukdbg.sampling.spans", "kept", Failed), value(t, m, "ukdbg.sampling.spans", "left_out", Budget); kept != 300+300+600+901 || left != 2700+2700+2700+2400+300 {
		t.Errorf("%v failed spans kept, %v left out", kept, left)
	}
}

// What is held is bounded; a trace decided upon before its end stays decided.
func TestTracesWithoutAnEnd(t *testing.T) {
	h, _ := host(Policy{MaxHeld: 100, Share: -1, SpansPerSecond: -1})
	g := h.Guest("i")
	var kept []exporters.Span
	for i := range 500 {
		r := request(i, time.Millisecond, i%50 == 0)
		k, _ := sample(t, g, r[:2]) // their end does not come yet
		kept = append(kept, k...)
		if g.spans > 100 || len(g.order) > 50 || len(g.held) != len(g.order) {
			t.Fatalf("%d spans of %d traces are held", g.spans, len(g.order))
		}
	}
	if len(kept) != 2*9 { // those of 50 and 0 … 400, the rest is held
		t.Errorf("%d spans of failed traces kept", len(kept))
	}
	late, reasons := sample(t, g, []exporters.Span{request(50, time.Millisecond, false)[2], request(51, time.Millisecond, false)[2]})
	if len(late) != 1 || late[0].ID != 151 || reasons[151] != Failed {
		t.Errorf("late ends: %v %v", late, reasons)
	}
	if k := g.Flush(); len(k) != 2 || k[1].Root != 3*450+1 || g.spans != 0 || len(g.held) != 0 {
		t.Errorf("flushed %v", k)
	}
	m := h.Metrics(time.Time{})
	if n := value(t, m, "ukdbg.sampling.unfinished"); n != 500 {
		t.Errorf("%v traces unfinished", n)
	}
	if kept, left := value(t, m, "ukdbg.sampling.traces", "kept", Failed), value(t, m, "ukdbg.sampling.traces", "left_out", Ordinary); kept != 10 || left != 490 {
		t.Errorf("%v kept, %v left out", kept, left)
	}
	// One trace alone may not fill all that is held.
	endless := make([]exporters.Span, 40)
	for i := range endless {
		endless[i] = exporters.Span{ID: uint64(90_001 + i), Root: 90_000, Name: "poll"}
	}
	if k, _ := sample(t, g, endless); len(k) != 0 || g.spans != 0 {
		t.Errorf("%d kept, %d held", len(k), g.spans)
	}
}

func TestOperationsAreBounded(t *testing.T) {
	h, _ := host(Policy{MaxOperations: 3})
	g := h.Guest("i")
	for i := range 100 {
		sample(t, g, []exporters.Span{{ID: uint64(i + 1), Name: fmt.Sprint("op", i%10), End: 1}})
	}
	m := g.Metrics(time.Time{})
	if len(m[0].Points) != 4 || value(t, m, "traces.span.metrics.calls", "op2", "STATUS_CODE_UNSET") != 10 {
		t.Errorf("%+v", m[0])
	}
	if last := m[0].Points[3]; last.Value != 70 || last.Attrs[0] != exporters.Bool("otel.metric.overflow", true) {
		t.Errorf("the rest: %+v", last)
	}
}

// The reason is not written into what the caller has.
func TestInputIsNotChanged(t *testing.T) {
	h, _ := host(Policy{Share: 1})
	r := request(1, time.Millisecond, false)
	spare := r[2].Attrs[:2]
	kept, _ := sample(t, h.Guest("i"), r)
	if len(kept) != 3 || len(kept[2].Attrs) != 2 || spare[1] != (exporters.Attr{}) {
		t.Errorf("%+v, %+v", kept, spare)
	}
}

func BenchmarkSample(b *testing.B) {
	h, _ := host(Policy{})
	g := h.Guest("i")
	var spans []exporters.Span
	for i := range 1000 {
		spans = append(spans, request(i, time.Millisecond, false)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range g.Sample(exporters.Of(spans...)) {
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(spans))/b.Elapsed().Seconds(), "spans/s")
}
