package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/tailsample"
	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

// traceLane is what the reading of a guest's traces needs from one time to the next.
type traceLane struct {
	session *ukdbg.Session
	follow  *ukdbg.TraceFollower
	clock   clock
	sampler *tailsample.Sampler // made by the lane, under the guest's lock
	polled  time.Time           // by the manager too, while the lane does not work
	next    time.Duration       // until the next reading, 0 for what is usual
	period  time.Duration
	told    bool // that the buffer is full
	// newest is the guest time of the newest record read, fresh that nothing was read in
	// this session.
	newest uint64
	fresh  bool
	failed int // readings in a row
}

// noTrace is how often it is tried again to read the traces of a guest that could not
// be read.
const noTrace = 30 * time.Second

// patientReads is after how many readings in a row that failed the way to the guest is
// opened anew.
const patientReads = 4

// fastTrace is the shortest time between two readings of a guest's traces.
const fastTrace = 20 * time.Millisecond

// drain reads what a guest traced since the last time.
func (a *agent) drain(ctx context.Context, g *guest) error {
	c, _, _ := a.fleet.now()
	t := &g.trace
	t.next = 0
	g.mu.Lock()
	address, image := targetOf(&g.host), g.imagePath
	g.mu.Unlock()
	st := state{State: "ok", Command: oneShot("trace list", address, image)}
	if image == "" {
		t.next = noTrace
		st.State, st.Detail = "unknown", "image=unknown"
		g.set(featureTraces, st)
		return nil
	}
	if t.follow == nil {
		if err := a.follow(ctx, g); err != nil {
			t.next = noTrace
			if errors.Is(err, kernel.ErrAbsent) || errors.Is(err, errNoTraces) {
				st.State, st.Detail = "none", err.Error()
				t.next = time.Hour
				g.set(featureTraces, st)
				return nil
			}
			return a.missing(g, featureTraces, st, err)
		}
	}
	looked := t.polled
	r, err := t.follow.Poll(ctx)
	t.polled = time.Now()
	if err != nil {
		if r.Records > 0 {
			t.join(r, looked)
			a.took(ctx, g, c, r)
		}
		// Memory is nowhere for a moment while a guest is set back.
		if t.failed++; t.failed == patientReads || errors.Is(err, target.ErrLost) {
			g.closeLane(laneTrace)
			t.failed = 0
		}
		return a.missing(g, featureTraces, st, err)
	}
	t.failed = 0
	t.join(r, looked)
	a.took(ctx, g, c, r)
	if r.Records > 0 || r.Full {
		st.Detail = fmt.Sprintf("%d records at %s", r.Records, r.Before.Format(time.TimeOnly))
		if r.Full {
			st.State, st.Detail = "full", "its buffer is full: nothing more is recorded until it is emptied (ukdbg trace record)"
			if !t.told {
				a.log.once(g.topic("full"), "%s: traces: %s", g.name(), st.Detail)
			}
		}
		t.told = r.Full
		g.set(featureTraces, st)
	}
	_, _, slow := a.self.used()
	t.next = t.pace(r, time.Duration(float64(c.Traces.Every)*slow))
	return nil
}

// took dates, samples and hands on what was read.
func (a *agent) took(ctx context.Context, g *guest, c *config.Config, r *ukdbg.TraceReading) {
	t := &g.trace
	if r.Restored {
		a.flush(g) // nothing of it will end
		t.clock.reset()
		g.mu.Lock()
		g.generation++
		g.mu.Unlock()
		a.log.printf("%s: set back to an earlier state; from now on it is %s", g.name(), g.run())
	}
	policy := tailsample.Policy{Slow: c.Traces.Slow, Errors: c.Traces.Errors, Keep: float64(c.Traces.Keep)}
	switch budget := a.fleet.spanBudget(); {
	case t.sampler == nil:
		s := tailsample.New(policy, budget, &a.fleet.room, g.run())
		g.mu.Lock()
		t.sampler = s
		g.mu.Unlock()
	case r.Restored:
		t.sampler.Restart(g.run())
		fallthrough
	default:
		t.sampler.Use(policy, budget)
	}
	if r.Records > 0 {
		a.date(g, r)
	}
	for i := range r.Spans {
		redactSpan(&r.Spans[i], c.Redact)
	}
	a.hand(ctx, g, c, t.sampler.Add(time.Now(), r.Spans))
}

// hand hands spans on.
func (a *agent) hand(ctx context.Context, g *guest, c *config.Config, spans []exporters.Span) {
	if len(spans) == 0 {
		return
	}
	g.mu.Lock()
	uncertain := g.counts.Clock
	g.mu.Unlock()
	clock, err := exporters.NewClock(exporters.Segment{Uncertainty: int64(uncertain)})
	if err != nil {
		a.log.once(g.topic("clock"), "%s: traces: %v", g.name(), err)
		return
	}
	a.fleet.send(func(out *outputs) {
		if out.wants(delivery.Traces) {
			a.spans.add(time.Now(), len(spans))
			out.spans(ctx, spans, otlp.Options{Resource: g.about(c), Clock: clock})
		}
	})
}

// flush hands on what was read of traces whose ends will not come.
func (a *agent) flush(g *guest) {
	g.mu.Lock()
	s := g.trace.sampler
	g.mu.Unlock()
	if s == nil {
		return
	}
	c, _, _ := a.fleet.now()
	a.hand(context.Background(), g, c, s.Flush(time.Now()))
}

// join makes a reading the next one of the guest's, though it may be the first of a
// new session, and though the guest may have been set back: what was read before is
// left out. looked is when it was read last.
func (t *traceLane) join(r *ukdbg.TraceReading, looked time.Time) {
	if r.Records == 0 {
		return
	}
	from := uint64(0)
	if t.fresh && t.newest > 0 {
		if r.Last+uint64(setBack) < t.newest {
			r.Restored = true
		} else {
			from = t.newest
		}
		r.After = looked
	}
	if r.Restored {
		// What lies in the buffer is from before the snapshot, but for what came since it
		// was last looked at.
		if since := uint64(r.Before.Sub(looked)); !looked.IsZero() && r.Last > since {
			from = r.Last - since
		}
		r.After = time.Time{}
	}
	t.fresh, t.newest = false, r.Last
	r.Spans = slices.DeleteFunc(r.Spans, func(s exporters.Span) bool { return uint64(s.End) <= from })
}

// setBack is by how much a guest's clock must go back to have been set back:
// processors differ a little.
const setBack = 10 * time.Millisecond

// pace is how long to wait before the next reading, so that rings are about a third
// full then: down at once, up slowly.
func (t *traceLane) pace(r *ukdbg.TraceReading, most time.Duration) time.Duration {
	want := most
	if passed := r.Before.Sub(r.After); !r.After.IsZero() && t.follow.Rings() && r.Used > 0 {
		want = time.Duration(float64(passed) * 0.3 / r.Used)
	}
	if r.Lost > 0 {
		want = min(want, t.period/2)
	}
	if t.period == 0 {
		t.period = most
	}
	t.period = max(fastTrace, min(most, want, t.period*5/4+time.Millisecond))
	return t.period
}

// errNoTraces says that an image has no tracepoints.
var errNoTraces = errors.New("its image has no tracepoints")

// follow opens a session to follow the guest's traces.
func (a *agent) follow(ctx context.Context, g *guest) error {
	s, err := a.session(ctx, g)
	if err != nil {
		return err
	}
	f, err := s.FollowTrace(ctx)
	if err != nil {
		return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	g.trace.session, g.trace.follow, g.trace.fresh = s, f, true
	return nil
}

// date puts the times of a reading's spans from the guest's clock to Unix time.
func (a *agent) date(g *guest, r *ukdbg.TraceReading) {
	t := &g.trace
	o := observed{first: r.First, last: r.Last, records: r.Records, before: r.Before.Sub(a.began), floor: -1 << 62, old: r.Full && r.After.IsZero()}
	if !r.After.IsZero() {
		o.after, o.hasAfter = r.After.Sub(a.began), true
	}
	if !g.started.IsZero() {
		o.floor = g.started.Sub(a.began)
	}
	offset, uncertain := t.clock.take(o)
	g.mu.Lock()
	n := &g.counts
	n.Records += uint64(r.Records)
	n.Lost += r.Lost
	n.Clock = uncertain
	g.mu.Unlock()
	// Unix time is what the host's clock says now, whatever it said before.
	unix := a.opt.wall().UnixNano() - int64(time.Since(a.began)) + int64(offset)
	for i := range r.Spans {
		s := &r.Spans[i]
		s.Start, s.End = s.Start+unix, s.End+unix
		for e := range s.Events {
			s.Events[e].Time += unix
		}
	}
}

// closeLane gives back what a lane holds.
func (g *guest) closeLane(l lane) {
	if l == laneLook {
		_ = g.unkeep() // its process is gone, or the keeper puts all back
		return
	}
	if l != laneTrace || g.trace.session == nil {
		return
	}
	s := g.trace.session
	g.trace.session, g.trace.follow = nil, nil
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = s.Close(ctx) // it was only read
}
