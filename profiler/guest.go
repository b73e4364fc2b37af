package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Guest is run control as sampling needs it.
type Guest interface {
	// Running reports whether the guest runs now.
	Running() bool
	// Stop stops the guest and returns once it is stopped, with the moment of
	// the stop. If it is stopped already, the stop that did it is returned.
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

type controlled struct{ c target.Controller }

func (g *controlled) Running() bool { return g.c.Running() }

func (g *controlled) Resume(ctx context.Context) error {
	return g.c.Resume(ctx, target.Action{CPU: target.AllCPUs})
}

func (g *controlled) Stop(ctx context.Context) (target.Stop, time.Time, error) {
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
			switch ev.Kind {
			case target.EventStopped:
				at := ev.Time
				if at.IsZero() {
					at = time.Now()
				}
				return ev.Stop, at, nil
			case target.EventExited:
				return target.Stop{}, time.Time{}, fmt.Errorf("%w with status %d", ErrEnded, ev.Status)
			case target.EventLost:
				if ev.Err != nil && !errors.Is(ev.Err, target.ErrLost) {
					return target.Stop{}, time.Time{}, fmt.Errorf("%w: %w", target.ErrLost, ev.Err)
				}
				return target.Stop{}, time.Time{}, target.ErrLost
			}
		case <-ctx.Done():
			return target.Stop{}, time.Time{}, context.Cause(ctx)
		}
	}
}
