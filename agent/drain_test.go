package agent

import (
	"io"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/tailsample"
	"github.com/ukdbg/ukdbg/vmm"
)

// Of a guest that is gone the spans are sent that waited for the end of their trace,
// which will not come.
func TestGoneGuestIsFlushed(t *testing.T) {
	sink := newCollector(t)
	c := quick(t, "x")
	sink.to(c)
	a := &agent{cfg: c, log: newLogger(io.Discard), began: time.Now()}
	out, err := newOutputs(c, "test", a.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.begin()
	a.fleet.setOutputs(c, out, nil)
	g := &guest{proc: vmm.Process{PID: 1, Name: "x"}, instance: "i"}
	g.trace.sampler = tailsample.New(tailsample.Policy{Keep: 1}, nil, nil, "i")
	if sent := g.trace.sampler.Add(time.Now(), []exporters.Span{{ID: 2, Root: 1, Name: "vfs_read", Start: 1e18, End: 1e18 + 5}}); len(sent) != 0 {
		t.Fatalf("it does not wait: %v", sent)
	}
	a.release(g)
	if err := out.close(patience); err != nil {
		t.Fatal(err)
	}
	var names []string
	spansOf(t, sink, func(_, _ string, s ptrace.Span) { names = append(names, s.Name()) })
	if len(names) != 1 || names[0] != "vfs_read" {
		t.Errorf("spans %v", names)
	}
}

// What waits of all guests together for the ends of traces has its part of the agent's
// memory; the guest that holds most makes room, and the metrics tell.
func TestSpansThatWait(t *testing.T) {
	c := quick(t, "x")
	c.Limits.Memory = 32 << 20
	a := &agent{cfg: c, log: newLogger(io.Discard), began: time.Now()}
	a.opt.wall = time.Now
	out, err := newOutputs(c, "test", a.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.begin()
	a.fleet.setOutputs(c, out, nil)
	quiet := &guest{proc: vmm.Process{PID: 1, Name: "quiet"}, instance: "q"}
	loud := []*guest{{proc: vmm.Process{PID: 2, Name: "loud"}, instance: "a"}, {proc: vmm.Process{PID: 3, Name: "loud too"}, instance: "b"}}
	trace := func(g *guest, n int) {
		r := &ukdbg.TraceReading{}
		for range n {
			id := uint64(g.trace.newest)
			g.trace.newest += 2
			r.Spans = append(r.Spans, exporters.Span{ID: id + 2, Root: id + 1, Name: "vfs_read", Start: 1e18, End: 1e18 + 5})
		}
		a.took(t.Context(), g, c, r)
	}
	trace(quiet, 100)
	most := int64(c.Limits.Memory) / roomShare
	for range 40 {
		for _, g := range loud {
			trace(g, 500)
			if st := a.fleet.room.Stats(); st.Bytes > most || st.Most != most {
				t.Fatalf("%+v, where %d may wait", st, most)
			}
		}
	}
	if st := quiet.spanStats(); st.Unfinished != 0 {
		t.Errorf("who traces little lost something: %+v", st)
	}
	for _, g := range loud {
		b := &numbers{}
		b.guest(g)
		told := map[string]float64{}
		for _, m := range b.list {
			if len(m.Points) > 0 {
				told[m.Name] = m.Points[0].Value
			}
		}
		if n := told["ukdbg.guest.traces.crowded"]; n < 1000 || n != told["ukdbg.guest.traces.unfinished"] {
			t.Errorf("%v crowded of %v", n, told["ukdbg.guest.traces.unfinished"])
		}
	}
}

// The host's clock is set, forth and back: times of spans are right by what it says when
// they are read, within 5 ms, and the guest is still the same run of the same guest.
func TestClockStep(t *testing.T) {
	step := time.Duration(0)
	began := time.Now()
	a := &agent{log: newLogger(io.Discard), began: began}
	a.opt.wall = func() time.Time { return time.Now().Round(0).Add(step) }
	g := &guest{proc: vmm.Process{PID: 1, Name: "x"}, instance: "i", started: began.Add(-time.Hour)}
	const gap, offset = 2 * time.Millisecond, 17 * time.Second // between records; agent's time minus guest's
	guestTime := func(at time.Time) uint64 { return uint64(at.Sub(began) + time.Minute - offset) }
	at, after := began, time.Time{}
	at = at.Add(time.Second)
	next := guestTime(began)
	for n := range 40 {
		if n%8 == 7 {
			step = []time.Duration{time.Hour, -time.Hour, 700 * time.Millisecond, 0}[n/8%4]
		}
		r := &ukdbg.TraceReading{After: after, Before: at}
		for ; next <= guestTime(at); next += uint64(gap) {
			if r.Records == 0 {
				r.First = next
			}
			r.Records, r.Last = r.Records+1, next
			r.Spans = append(r.Spans, exporters.Span{Start: int64(next) - 1000, End: int64(next)})
		}
		truth := make([]int64, len(r.Spans))
		for i, s := range r.Spans {
			ago := time.Duration(int64(guestTime(began)) - s.End) // seen from the agent's start
			truth[i] = began.Round(0).Add(step - ago).UnixNano()
		}
		a.date(g, r)
		for i, s := range r.Spans {
			if wrong := time.Duration(s.End - truth[i]).Abs(); wrong > 5*time.Millisecond || s.End-s.Start != 1000 {
				t.Fatalf("reading %d, clock set by %v: a span is dated wrongly by %v", n, step, wrong)
			}
		}
		if g.run() != "i" || n > 2 && g.counts.Clock > 5*time.Millisecond {
			t.Fatalf("reading %d: run %s, uncertain by %v", n, g.run(), g.counts.Clock)
		}
		after, at = at, at.Add(250*time.Millisecond)
	}
}
