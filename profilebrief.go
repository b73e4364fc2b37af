package ukdbg

import (
	"context"
	"errors"
	"time"

	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// Where the stops of a guest behind a stub have a cap, a profile's samples are
// such stops: the session controls the guest by the stub for the time, and what
// the cap cuts short is given up.

// listed is a stub's guest whose processors are known, so that it need not stand
// to be asked for them.
type listed struct {
	*guard.Attachment
	cpus []target.CPU
}

func (l listed) CPUs(context.Context) ([]target.CPU, error) { return l.cpus, nil }

// cappedGuest is run control that tells of stops which ended before their time.
type cappedGuest struct {
	profiler.Guest
	a      *guard.Attachment
	lapsed int
}

func (g *cappedGuest) Stop(ctx context.Context) (target.Stop, time.Time, error) {
	g.lapsed = g.a.Stats().Lapsed
	return g.Guest.Stop(ctx)
}

// Sampling says that stops follow one another, until it is called with false.
func (g *cappedGuest) Sampling(on bool) { g.a.Sampling(on) }

// Rest says that nothing is asked for a while.
func (g *cappedGuest) Rest(ctx context.Context) { g.a.Rest(ctx) }

// Resume is target.ErrLapsed if the guest runs already: what was read last may be of
// a guest that ran.
func (g *cappedGuest) Resume(ctx context.Context) error {
	if err := g.Guest.Resume(ctx); err != nil {
		return err
	}
	if g.a.Stats().Lapsed > g.lapsed {
		return target.ErrLapsed
	}
	return nil
}

// stopLedger is what a session's stops owe to the pause budget, from one profile to
// the next.
type stopLedger struct {
	stopped, owed time.Duration // as of at
	at            time.Time
}

// owes is what of the time the guest was stopped, all of it until now, has not been
// earned by letting it run: share of the time since the ledger was last asked.
func (l *stopLedger) owes(stopped time.Duration, share float64, now time.Time) time.Duration {
	earned := time.Duration(0)
	if !l.at.IsZero() {
		earned = time.Duration(share * float64(now.Sub(l.at)))
	}
	l.owed = max(0, l.owed+stopped-l.stopped-earned)
	l.stopped, l.at = stopped, now
	return l.owed
}

// errPausedMeanwhile: a profile would have to let the guest run.
var errPausedMeanwhile = errors.New("somebody has paused the guest since ukdbg was attached, and it is left so: a profile is of a guest that runs; let it run and try again")

// control makes the stub behind b what the session's guest is read by, in stops
// that are the sampler's, until the function it returns is called.
func (s *Session) control(ctx context.Context, b *brief, sampler *profiler.Sampler, opt *profiler.Options) (giveBack func(*profiler.Profile), err error) {
	back, err := b.lend(ctx)
	if err != nil {
		return nil, mark(err, ErrUnreachable)
	}
	if b.status == "running" && !b.a.Running() {
		back()
		return nil, errPausedMeanwhile
	}
	sampler.Guest, sampler.Machine = &cappedGuest{Guest: profiler.Control(b.a), a: b.a}, listed{b.a, s.cpus}
	before := b.a.Stats().Stopped
	opt.Spent = s.stops.owes(before, opt.MaxPause, time.Now())
	s.live = b.a
	s.changeMachine(b.a, newCache(s.without(b.a)))
	return func(p *profiler.Profile) {
		s.live = nil
		back()
		s.changeMachine(b, s.view)
		if p != nil {
			// The stub's client knows when a stop ended that it did not end itself.
			st := b.a.Stats()
			p.Pause.Total = st.Stopped - before
			p.Pause.Longest = min(p.Pause.Longest, st.Longest)
		}
	}, nil
}
