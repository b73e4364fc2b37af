package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// profileLane is what the profiles of a guest need from one burst to the next.
type profileLane struct {
	began time.Time // the last burst, the manager's
	turn  int       // which kind is next
}

// idle notes that a guest is not sampled because it does nothing.
func (a *agent) idle(g *guest, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.features[featureProfile]
	if s.State == "idle" || s.State == "refused" || s.State == "unknown" {
		return
	}
	*s = state{State: "idle", Detail: "its VMM used no CPU time worth the while", Command: s.Command, At: now}
}

// burst samples a guest once and hands the profile on.
func (a *agent) burst(ctx context.Context, g *guest) error {
	c, _, _ := a.fleet.now()
	kind := profiler.Kind(c.Profile.Kinds[g.profile.turn%len(c.Profile.Kinds)])
	g.profile.turn++
	g.mu.Lock()
	h, image, paused := g.host, g.imagePath, g.host.State != "" && g.host.State != "running"
	g.mu.Unlock()
	st := state{Command: oneShot("profile "+string(kind), targetOf(&h), image, "-d", duration(c.Profile.Duration), "-F", fmt.Sprint(c.Profile.Hz))}
	switch why := refusal(&h); {
	case image == "":
		st.State, st.Detail = "unknown", "image=unknown"
		g.set(featureProfile, st)
		return nil
	case paused:
		st.State, st.Detail = "idle", "it is "+h.State
		g.set(featureProfile, st)
		return nil
	case why != "":
		st.State, st.Detail = "refused", why
		g.set(featureProfile, st)
		a.log.once(g.topic("refused"), "%s: profile: refused: %s", label(&h), why)
		return nil
	}
	p, err := a.take(ctx, g, kind, c, "")
	if way := stubOf(&h, err); way != "" && a.mayStop(c) {
		p, err = a.take(ctx, g, kind, c, way)
	} else if way != "" {
		err = fmt.Errorf("would stop it: only its stub could be asked, and stops.profile is 0 (%w)", err)
	}
	if err != nil {
		return a.missing(g, featureProfile, st, err)
	}
	a.counted(g, p)
	st.State = "ok"
	st.Detail = fmt.Sprintf("%s: %d samples in %v at %s", kind, p.Ticks, p.Duration.Round(100*time.Millisecond), p.Start.Format(time.TimeOnly))
	if p.Ended != "" {
		st.Detail += ", " + p.Ended
	}
	g.set(featureProfile, st)
	if len(p.Samples) > 0 {
		a.fleet.send(func(out *outputs) { out.profile(ctx, g.about(c), redactProfile(p, c.Redact)) })
	}
	return nil
}

// sample makes a profile of one kind.
func (a *agent) sample(ctx context.Context, s *ukdbg.Session, kind profiler.Kind, c *config.Config) (*profiler.Profile, error) {
	if kind.Sampled() {
		return s.Profile(ctx, ukdbg.ProfileOptions{Kind: kind, Duration: c.Profile.Duration, Hz: c.Profile.Hz, MaxPause: max(float64(c.Stops.Profile), 1e-9)})
	}
	return s.RecordProfile(ctx, kind, c.Profile.Duration)
}

// take opens a session, by the guest's stub if one is named, and samples.
func (a *agent) take(ctx context.Context, g *guest, kind profiler.Kind, c *config.Config, stub string) (*profiler.Profile, error) {
	var s *ukdbg.Session
	var err error
	if stub == "" {
		s, err = a.session(ctx, g)
	} else {
		s, err = a.stub(ctx, g, stub)
	}
	if err != nil {
		return nil, err
	}
	if stub != "" && s.FoundPaused() {
		err = errors.New("it is paused")
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	p, err := a.sample(ctx, s, kind, c)
	return p, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
}

// stubOf is the stub by which a guest could be sampled that cannot be without a stop.
func stubOf(h *hosts.Guest, err error) string {
	var no *ukdbg.SourceError
	if !errors.As(err, &no) {
		return ""
	}
	if w, ok := h.Way(hosts.Stub); ok && w.Open {
		return w.Spec
	}
	return no.Stub
}

// refusal says why a guest is not profiled, "" if it may be.
func refusal(h *hosts.Guest) string {
	if h.Confidential != "" {
		return "encrypted guest: console and in-guest export only"
	}
	if w, ok := h.Way(hosts.Memory); ok && w.Open {
		return ""
	}
	for _, w := range h.Ways {
		if w.Kind == hosts.Memory && w.Note != "" {
			return "its memory cannot be read: " + w.Note
		}
	}
	return "its memory cannot be read"
}

// missing sorts the failures that are no failures: what a guest cannot give.
func (a *agent) missing(g *guest, f feature, st state, err error) error {
	var source *ukdbg.SourceError
	switch {
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, errNoImage):
		st.State, st.Detail = "unknown", err.Error()
	case errors.Is(err, ukdbg.ErrMismatch):
		st.State, st.Detail = "unknown", err.Error()
		a.tell(func() { g.work[laneLook].due = time.Now() }) // for another one
	case errors.Is(err, target.ErrUnsupported), errors.As(err, &source):
		st.State, st.Detail = "refused", err.Error()
	default:
		return err
	}
	g.set(f, st)
	return nil
}

// counted adds up what a burst cost.
func (a *agent) counted(g *guest, p *profiler.Profile) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := &g.counts
	n.Bursts++
	n.Samples += uint64(p.Ticks)
	n.Missed += uint64(p.Missed)
	n.Abandoned += uint64(p.Abandoned)
	n.Stops += uint64(p.Pause.Stops)
	n.Stopped += p.Pause.Total
	n.Longest = max(n.Longest, p.Pause.Longest)
	g.last = shown(p)
	n.Exits += uint64(p.Pause.Exits)
}

// topFunctions is how many functions the page shows.
const topFunctions = 5

// shown is a profile as the page shows it.
func shown(p *profiler.Profile) status.Profile {
	all, _ := p.Total()
	out := status.Profile{At: p.Start, Kind: string(p.Kind), Duration: p.Duration, Samples: uint64(all), Idle: p.IdleShare()}
	busy := p.Busy()
	_, total := busy.Total()
	for _, f := range profiler.Functions(busy) {
		if len(out.Top) == topFunctions || total == 0 {
			break
		}
		out.Top = append(out.Top, status.Function{Name: f.Name, Share: float64(f.Flat) / float64(total)})
	}
	if len(p.Warnings) > 0 {
		out.Note = p.Warnings[0]
	}
	return out
}

// duration writes 1m, not 1m0s, as the verbs' flags take it.
func duration(d time.Duration) string { return d.String() }
