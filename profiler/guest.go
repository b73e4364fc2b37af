package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Guest is run control as sampling needs it. One that has Rest(context.Context) is told
// after each sample, when it runs again, that it will not be stopped for a while: what
// takes a moment is done then, and not before the next. One whose stops may end by
// themselves has Paused() time.Duration: how long the last one was if it did, else 0.
type Guest interface {
	// Running reports whether the guest runs now.
	Running() bool
	// Stop stops the guest and returns once it is stopped, with the moment from which
	// the stop counts: not later than it began. If it is stopped already, the stop that
	// did it is returned.
	Stop(ctx context.Context) (target.Stop, time.Time, error)
	// Resume lets every processor run. target.ErrLapsed says that they ran before,
	// because a stop may last only so long.
	Resume(ctx context.Context) error
}

// Machine is what is read of the stopped guest. Memory that can read many
// ranges in one go makes the pause shorter.
type Machine interface {
	target.Memory
	target.RegisterReader
	target.CPULister
}

// ErrEnded says that the guest ended while it was sampled.
var ErrEnded = errors.New("the guest ended")

// Control makes a Guest of a Controller whose events nobody else reads during
// the run. Output and other events are dropped.
func Control(c target.Controller) Guest { return &controlled{c: c} }

type controlled struct {
	c      target.Controller
	paused time.Duration
}

// Paused is for how long the last stop lasted if it has ended by itself, else 0.
func (g *controlled) Paused() time.Duration { return g.paused }

func (g *controlled) Running() bool { return g.c.Running() }

func (g *controlled) Resume(ctx context.Context) error {
	return g.c.Resume(ctx, target.Action{CPU: target.AllCPUs})
}

// halter is a Controller that can be sampled without goroutines between it and who
// waits for the stop.
type halter interface {
	// Sampling(true) comes before the first Halt, Sampling(false) after the last.
	Sampling(on bool)
	// Halt stops the guest if it runs and returns the next event but output.
	Halt(ctx context.Context) (target.Event, error)
	// Rest comes between two stops, when the guest was let run.
	Rest(ctx context.Context)
}

// Sampling says that stops follow one another, until it is called with false.
func (g *controlled) Sampling(on bool) {
	if h, ok := g.c.(halter); ok {
		h.Sampling(on)
	}
}

// Rest says that nothing is asked for a while.
func (g *controlled) Rest(ctx context.Context) {
	if h, ok := g.c.(halter); ok {
		h.Rest(ctx)
	}
}

func (g *controlled) Stop(ctx context.Context) (target.Stop, time.Time, error) {
	if h, ok := g.c.(halter); ok {
		asked := time.Now()
		for {
			ev, err := h.Halt(ctx)
			if err != nil {
				return target.Stop{}, time.Time{}, fmt.Errorf("interrupting the guest to sample it: %w", err)
			}
			if stop, at, err, ok := stopOf(ev); ok {
				if stop.Reason == target.StopInterrupt {
					at = asked // it may be told late
				}
				g.paused = ev.Paused
				return stop, at, err
			}
		}
	}
	// A stop that happened since is in the queue; asking for another would
	// leave it there to be taken for the answer.
	if g.c.Running() {
		if err := g.c.Interrupt(ctx); err != nil {
			return target.Stop{}, time.Time{}, fmt.Errorf("interrupting the guest to sample it: %w", err)
		}
	}
	for {
		select {
		case ev, ok := <-g.c.Events():
			if !ok {
				return target.Stop{}, time.Time{}, target.ErrLost
			}
			if stop, at, err, ok := stopOf(ev); ok {
				return stop, at, err
			}
		case <-ctx.Done():
			return target.Stop{}, time.Time{}, context.Cause(ctx)
		}
	}
}

// stopOf is what an event means to who waits for a stop; ok is false for one that
// means nothing.
func stopOf(ev target.Event) (stop target.Stop, at time.Time, err error, ok bool) {
	switch ev.Kind {
	case target.EventStopped:
		if at = ev.Time; at.IsZero() {
			at = time.Now()
		}
		return ev.Stop, at, nil, true
	case target.EventExited:
		return stop, at, fmt.Errorf("%w with status %d", ErrEnded, ev.Status), true
	case target.EventLost:
		if ev.Err != nil && !errors.Is(ev.Err, target.ErrLost) {
			return stop, at, fmt.Errorf("%w: %w", target.ErrLost, ev.Err), true
		}
		return stop, at, target.ErrLost, true
	}
	return stop, at, nil, false
}
