package tailsample

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

var begin = time.Unix(1_700_000_000, 0)

// request is a trace of three spans, its outermost last.
func request(i int, took time.Duration, bad bool) []exporters.Span {
	root := uint64(3*i + 1)
	start := int64(i) * 1e6
	attrs := make([]exporters.Attr, 1, 4)
	attrs[0] = exporters.Int("i", int64(i))
	return []exporters.Span{
		{ID: root + 1, Parent: root, Root: root, Name: "read", Start: start, End: start + 100},
		{ID: root + 2, Parent: root, Root: root, Name: "write", Start: start + 100, End: start + 200, Err: bad},
		{ID: root, Name: "request", Start: start, End: start + int64(took), Attrs: attrs},
	}
}

// reasons tells why the traces among spans are kept, by root.
func reasons(t testing.TB, spans []exporters.Span) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	for i := 0; i+2 < len(spans); i += 3 {
		root := spans[i+2]
		if root.Root != 0 || spans[i].Root != root.ID || spans[i+1].Root != root.ID {
			t.Fatalf("trace %d is torn", i/3)
		}
		last := root.Attrs[len(root.Attrs)-1]
		if last.Key != ReasonKey {
			t.Fatalf("trace %d has no reason", i/3)
		}
		all[root.ID] = last.Str
	}
	if len(spans) != 3*len(all) {
		t.Fatalf("%d spans of %d traces", len(spans), len(all))
	}
	return all
}

// What lies across lost records is not slow, and no measure of what is; that it failed
// is known.
func TestAcrossLost(t *testing.T) {
	s := New(Policy{Slow: 10 * time.Millisecond, Errors: true}, nil, nil, "i-1")
	across := func(i int, bad bool) []exporters.Span {
		spans := request(i, time.Hour, bad)
		spans[2].AcrossLost = true
		return spans
	}
	out := s.Add(begin, request(0, time.Millisecond, false))
	out = append(out, s.Add(begin, across(1, false))...)
	out = append(out, s.Add(begin, across(2, true))...)
	out = append(out, s.Add(begin, request(3, time.Second, false))...)
	if kept := reasons(t, out); len(kept) != 2 || kept[7] != "failed" || kept[10] != "slow" {
		t.Errorf("kept %v", kept)
	}
	durations, errors := s.Points(begin, begin)
	for _, p := range durations {
		if name := p.Attrs[0].Str; name == "request" && (p.Count != 2 || p.Sum > 1.1) || name == "read" && p.Count != 4 {
			t.Errorf("%s: %d of %v s", name, p.Count, p.Sum)
		}
	}
	if len(durations) != 3 || len(errors) != 1 || errors[0].Value != 1 {
		t.Errorf("%+v, %+v", durations, errors)
	}
	// Slow by what is usual: what is not known is not usual.
	s = New(Policy{Errors: true}, nil, nil, "i-1")
	for i := range 2000 {
		s.Add(begin, request(2*i, time.Millisecond+time.Duration(i%50)*time.Microsecond, false))
		if kept := s.Add(begin, across(2*i+1, false)); len(kept) > 0 {
			t.Fatalf("%d: %v", i, reasons(t, kept))
		}
	}
	if kept := reasons(t, s.Add(begin, request(4000, time.Second, false))); len(kept) != 1 {
		t.Errorf("kept %v", kept)
	}
}

// All failed and slow traces are kept, and 1 % of the rest: the same ones each time.
// What is counted is all there was.
func TestWhatIsKept(t *testing.T) {
	const n = 40_000
	var spans []exporters.Span
	want := map[uint64]string{}
	for i := range n {
		took, bad := 500*time.Microsecond+time.Duration(i%97)*time.Microsecond, false
		switch {
		case i%4001 == 4000:
			bad = true
			want[uint64(3*i+1)] = "failed"
		case i%1009 == 1008:
			took = 20 * time.Millisecond
			want[uint64(3*i+1)] = "slow"
		}
		spans = append(spans, request(i, took, bad)...)
	}
	run := func(slow time.Duration, instance string) (map[uint64]string, *Sampler) {
		s := New(Policy{Slow: slow, Errors: true, Keep: 0.01}, nil, nil, instance)
		return reasons(t, s.Add(begin, spans)), s
	}
	kept, s := run(10*time.Millisecond, "i-1")
	by := map[string]int{}
	for root, why := range kept {
		by[why]++
		if w := want[root]; w != "" && w != why || w == "" && why != "sampled" {
			t.Errorf("trace %d is kept as %s, want %q", root, why, w)
		}
	}
	rest := float64(n - len(want))
	if by["failed"]+by["slow"] != len(want) || math.Abs(float64(by["sampled"])-0.01*rest) > 4*math.Sqrt(0.01*rest) {
		t.Errorf("kept %v of %d traces, %d of them failed or slow", by, n, len(want))
	}
	again, _ := run(10*time.Millisecond, "i-1")
	other, _ := run(10*time.Millisecond, "i-2")
	same := 0
	for root := range kept {
		if again[root] != kept[root] {
			t.Errorf("trace %d: %q, the second time %q", root, kept[root], again[root])
		}
		if kept[root] == "sampled" && other[root] == "sampled" {
			same++
		}
	}
	if same > by["sampled"]/4 {
		t.Errorf("of another run %d of the same positions are kept", same)
	}

	// Without a limit what is slower than 99 % is slow: 20 ms are.
	lately, _ := run(0, "i-1")
	slow, missed := 0, 0
	for _, why := range lately {
		if why == "slow" {
			slow++
		}
	}
	for root, why := range want {
		if why == "slow" && lately[root] != "slow" && root > 3*(fewest+refresh) {
			missed++
		}
	}
	if slow > n/80 || missed > 0 {
		t.Errorf("%d traces are slow, %d of the slow ones are not kept", slow, missed)
	}
	if none, _ := run(-1, "i-1"); len(none) >= len(kept) {
		t.Errorf("%d traces are kept when none is slow", len(none))
	}

	st := s.Stats()
	if st.Seen != 3*n || st.Kept != uint64(3*len(kept)) || st.Kept+st.Sampled != st.Seen || st.Failed != uint64(by["failed"]) || st.Slow != uint64(by["slow"]) || st.Others != uint64(by["sampled"]) || st.Unfinished != 0 {
		t.Errorf("%+v", st)
	}
	durations, failures := s.Points(begin, begin.Add(1), exporters.String("guest", "g"))
	if len(durations) != 3 || len(failures) != 1 || failures[0].Value != float64(n/4001) || failures[0].Attrs[1].Str != "write" {
		t.Fatalf("%+v\n%+v", durations, failures)
	}
	p := durations[2]
	var sum uint64
	for _, b := range p.Buckets {
		sum += b
	}
	if p.Attrs[0].Str != "g" || p.Attrs[1].Str != "request" || p.Count != n || sum != n || len(p.Buckets) != len(p.Bounds)+1 || p.Buckets[8] != uint64(by["slow"]) || math.Abs(p.Sum/n-567e-6) > 50e-6 {
		t.Errorf("durations %+v", p)
	}
}

// The budget holds for all guests together, is refilled by time, and ordinary
// traces do not use up what failed ones may need.
func TestBudget(t *testing.T) {
	b := NewBudget(60) // a burst of 600
	p := Policy{Slow: -1, Errors: true, Keep: 1}
	one, two := New(p, b, nil, "1"), New(p, b, nil, "2")
	now := begin
	count := func(s *Sampler, n int, bad bool) int {
		kept := 0
		for i := range n {
			kept += len(s.Add(now, request(i, time.Millisecond, bad)))
		}
		return kept
	}
	if n := count(one, 1000, false); n != 300 {
		t.Errorf("%d ordinary spans fit into the half of 600", n)
	}
	if n := count(two, 1000, true); n != 300 {
		t.Errorf("%d failed spans fit into the rest", n)
	}
	now = now.Add(5 * time.Second)
	if n := count(two, 1000, true); n != 300 {
		t.Errorf("%d spans fit into the next five seconds", n)
	}
	now = now.Add(-time.Hour) // a clock that is set back gives nothing
	if n := count(two, 1000, true); n != 0 {
		t.Errorf("%d spans after the clock was set back", n)
	}
	now = now.Add(time.Hour)
	if n := count(one, 1000, true); n != 600 {
		t.Errorf("%d spans after an hour", n)
	}
	// A trace beyond the burst is kept when the budget is full, and owes for it.
	now = now.Add(time.Hour)
	var long []exporters.Span
	for i := range 900 {
		long = append(long, exporters.Span{ID: uint64(100_001 + i), Parent: 100_000, Root: 100_000, Name: "read", Err: true})
	}
	kept := one.Add(now, append(long, exporters.Span{ID: 100_000, Name: "request"}))
	now = now.Add(time.Second)
	if n := count(two, 100, true); len(kept) != 901 || n != 0 {
		t.Errorf("%d spans of a long trace, %d in the second after", len(kept), n)
	}
	if st := two.Stats(); st.Kept != 600 || st.Budget != 2700+2700+3000+300 || st.Sampled != 0 {
		t.Errorf("%+v", st)
	}
	none := New(p, NewBudget(0), nil, "3")
	if n := len(none.Add(now, request(1, time.Millisecond, true))); n != 0 {
		t.Errorf("%d spans for nothing", n)
	}
}

// What waits is bounded; a trace decided upon before its end stays decided.
func TestTracesWithoutAnEnd(t *testing.T) {
	s := New(Policy{Slow: -1, Errors: true}, nil, nil, "i")
	var kept []exporters.Span
	const n = maxWait
	for i := range n {
		r := request(i, time.Millisecond, i%50 == 0)
		kept = append(kept, s.Add(begin, r[:2])...) // their end does not come yet
		if s.spans > maxWait || len(s.waiting) != len(s.order) {
			t.Fatalf("%d spans of %d traces wait", s.spans, len(s.order))
		}
	}
	// The first half was given up.
	if len(kept) != 2*n/2/50 || s.Stats().Unfinished != n/2 {
		t.Errorf("%d spans of failed traces kept, %+v", len(kept), s.Stats())
	}
	last := n/2 - 50 // the last of the failed ones
	late := s.Add(begin, []exporters.Span{request(last, time.Millisecond, false)[2], request(last+1, time.Millisecond, false)[2]})
	if len(late) != 1 || late[0].ID != uint64(3*last+1) || late[0].Attrs[1].Str != "failed" {
		t.Errorf("late ends: %v", late)
	}
	if k := s.Add(begin.Add(patience+1), nil); len(k) != 2*n/2/50 || s.spans != 0 || len(s.waiting) != 0 {
		t.Errorf("%d kept of those that waited too long, %d wait", len(k), s.spans)
	}
	if len(s.settled.why) > maxSettled {
		t.Errorf("%d are remembered", len(s.settled.why))
	}

	// One trace alone may not fill all that waits, and goes on as it began.
	endless := make([]exporters.Span, 2*maxTrace)
	for i := range endless {
		endless[i] = exporters.Span{ID: uint64(1e9+1) + uint64(i), Root: 1e9, Name: "poll", Err: i == 0}
	}
	if k := s.Add(begin, endless); len(k) != 2*maxTrace || s.spans != 0 {
		t.Errorf("%d kept, %d wait", len(k), s.spans)
	}

	s.Add(begin, request(1e6, time.Millisecond, true)[:2])
	if k := s.Flush(begin); len(k) != 2 || s.spans != 0 {
		t.Errorf("%d flushed", len(k))
	}
	s.Add(begin, request(2e6, time.Millisecond, true)[:2])
	s.Restart("j")
	if k := s.Flush(begin); len(k) != 0 || s.spans != 0 {
		t.Errorf("%d of the run before", len(k))
	}
	if st := s.Stats(); st.Kept+st.Sampled != st.Seen {
		t.Errorf("%+v", st)
	}
}

func TestNamesAreBounded(t *testing.T) {
	s := New(Policy{}, nil, nil, "i")
	for i := range 1000 {
		s.Add(begin, []exporters.Span{{ID: uint64(i + 1), Name: fmt.Sprint("op", i%200), End: 1, Err: i%200 == 199}})
	}
	durations, failures := s.Points(begin, begin)
	if len(durations) != maxOperations+1 || durations[2].Attrs[0].Str != "op2" || durations[2].Count != 5 {
		t.Errorf("%d names", len(durations))
	}
	overflow := exporters.Bool("otel.metric.overflow", true)
	if last := durations[maxOperations]; last.Count != 500 || last.Attrs[0] != overflow || len(failures) != 1 || failures[0].Value != 5 || failures[0].Attrs[0] != overflow {
		t.Errorf("the rest: %+v, %+v", last, failures)
	}
}

// The reason is not written into what the caller has.
func TestInputIsNotChanged(t *testing.T) {
	r := request(1, time.Millisecond, false)
	spare := r[2].Attrs[:2]
	kept := New(Policy{Keep: 1}, nil, nil, "i").Add(begin, r)
	if len(kept) != 3 || len(kept[2].Attrs) != 2 || spare[1] != (exporters.Attr{}) {
		t.Errorf("%+v, %+v", kept, spare)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := New(Policy{Errors: true, Keep: 0.01}, NewBudget(1000), nil, "i")
	var spans []exporters.Span
	for i := range 1000 {
		spans = append(spans, request(i, time.Millisecond, false)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Add(begin, spans)
	}
	b.ReportMetric(float64(b.N)*float64(len(spans))/b.Elapsed().Seconds(), "spans/s")
}
