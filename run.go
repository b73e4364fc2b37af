package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// StopCause says why the guest was given back to the person.
type StopCause int

const (
	// CauseStep: a step, next, until or finish came to its end.
	CauseStep StopCause = iota
	// CauseBreakpoint: one or more breakpoints or watchpoints.
	CauseBreakpoint
	// CauseInterrupt: the person asked.
	CauseInterrupt
	// CauseSignal: a trap of the guest the stub reported.
	CauseSignal
	// CauseForeign: somebody else stopped it.
	CauseForeign
	// CauseExit: the guest ended.
	CauseExit
)

// StopReport tells where and why the guest stopped.
type StopReport struct {
	Cause StopCause
	CPU   target.CPU
	// Signal is GDB's number for CauseSignal, the status for CauseExit.
	Signal int
	// Hit lists the breakpoints that stopped it.
	Hit []*Breakpoint
	// Old and New are a watchpoint's value before and after, nil if it only read.
	Old, New []byte
}

// interruptPatience is how long a stop may take once it was asked for.
const interruptPatience = 5 * time.Second

// deafPatience is how long a stub that is not known to hear a request to stop is
// given to prove the contrary.
const deafPatience = time.Second

// Continue lets the guest run until a breakpoint stops it, something else
// does, or ctx ends, which interrupts it.
func (s *Session) Continue(ctx context.Context) (StopReport, error) {
	return s.runFor(ctx, nil, nil)
}

// arrived decides whether a stop at an address of the caller's is the one it
// waits for.
type arrived func(ctx context.Context, cpu target.CPU, regs *target.Regs) bool

// runFor runs the guest with the person's breakpoints and those of a step until
// a stop worth reporting. Stops at own addresses count only if here says so.
func (s *Session) runFor(ctx context.Context, own []target.Breakpoint, here arrived) (rep StopReport, err error) {
	if s.live == nil {
		return rep, s.notLive()
	}
	if err := s.saveWatched(ctx); err != nil {
		return rep, err
	}
	defer func() {
		// However it ends, the guest is not left patched at the prompt. The
		// context may be what ended it, so the clean-up has its own.
		if s.live.Running() {
			return
		}
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
		defer cancel()
		err = errors.Join(err, s.takeOut(clean, s.inserted))
	}()
	// A guest that nobody could stop may still run: then it is waited for.
	runs := s.live.Running()
	if !runs {
		if err := s.insert(ctx, s.patches(own)); err != nil {
			return rep, err
		}
	}
	for {
		var ev target.Event
		stopped := false
		if runs {
			if ev, err = s.waitStop(ctx); err != nil {
				return rep, err
			}
			runs, stopped = false, true
		} else if ev, stopped, err = s.stepOff(ctx); err != nil {
			return rep, err
		}
		if !stopped {
			if err := s.resume(ctx, target.Action{CPU: target.AllCPUs}); err != nil {
				return rep, err
			}
			if ev, err = s.waitStop(ctx); err != nil {
				return rep, err
			}
		}
		if done, rep, err := s.judge(ctx, ev, here); done || err != nil {
			return rep, err
		}
	}
}

// resume starts the guest and a new epoch.
func (s *Session) resume(ctx context.Context, a ...target.Action) error {
	if err := s.mayChange(); err != nil {
		return err
	}
	s.newEpoch()
	return mark(s.live.Resume(ctx, a...), ErrUnreachable)
}

// waitStop waits for the guest to stop or end, passing its output on. When ctx
// ends the guest is interrupted, and the stop that follows is returned.
func (s *Session) waitStop(ctx context.Context) (target.Event, error) {
	done := ctx.Done()
	var late <-chan time.Time
	var deaf error
	for {
		select {
		case ev, ok := <-s.live.Events():
			if !ok {
				return ev, mark(target.ErrLost, ErrUnreachable)
			}
			switch ev.Kind {
			case target.EventStopped:
				s.newEpoch()
				return ev, nil
			case target.EventExited:
				return ev, nil
			case target.EventOutput:
				if s.opt.Output != nil {
					s.opt.Output(ev.Text)
				}
			case target.EventLost:
				return ev, mark(ev.Err, ErrUnreachable)
			}
		case <-done:
			done = nil
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
			defer cancel()
			if err := s.live.Interrupt(clean); err != nil {
				if !errors.Is(err, target.ErrUnsupported) {
					return target.Event{}, fmt.Errorf("interrupting the guest: %w", err)
				}
				// It may hear all the same.
				deaf, late = err, time.After(deafPatience)
				continue
			}
			late = time.After(interruptPatience)
		case <-late:
			if deaf != nil {
				return target.Event{}, fmt.Errorf("interrupting the guest, which runs on: %w", deaf)
			}
			return target.Event{}, fmt.Errorf("the guest did not stop within %v of being asked", interruptPatience)
		}
	}
}

// stepOff takes every processor that stands on a breakpoint one instruction
// further with that place unpatched, so that going on does not hit it again.
// When such a step ends in another stop (a watchpoint, a trap), that is
// returned with stopped true.
func (s *Session) stepOff(ctx context.Context) (ev target.Event, stopped bool, err error) {
	for _, cpu := range s.cpus {
		regs, err := s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return ev, false, fmt.Errorf("reading registers of CPU %d: %w", cpu, err)
		}
		off := slices.Clone(s.inserted)
		off = slices.DeleteFunc(off, func(b target.Breakpoint) bool {
			return b.Addr != regs.PC() || b.Kind.IsWatch()
		})
		if len(off) == 0 {
			continue
		}
		if err := s.takeOut(ctx, off); err != nil {
			return ev, false, err
		}
		ev, err := s.stepInstruction(ctx, cpu)
		if err != nil {
			return ev, false, err
		}
		if ev.Kind == target.EventExited {
			return ev, true, nil
		}
		if err := s.insert(ctx, off); err != nil {
			return ev, false, err
		}
		if ev.Stop.Reason != target.StopStep {
			return ev, true, nil
		}
	}
	return ev, false, nil
}

// stepInstruction executes one instruction on one processor, the others wait.
func (s *Session) stepInstruction(ctx context.Context, cpu target.CPU) (target.Event, error) {
	if err := s.resume(ctx, target.Action{CPU: cpu, Step: true}); err != nil {
		return target.Event{}, err
	}
	return s.waitStop(ctx)
}

// judge decides whether a stop is the person's business.
func (s *Session) judge(ctx context.Context, ev target.Event, here arrived) (bool, StopReport, error) {
	rep := StopReport{CPU: ev.Stop.CPU}
	// A context that ended is the person's ^C; what is read now is read for them.
	read := context.WithoutCancel(ctx)
	if ev.Kind == target.EventExited {
		rep.Cause, rep.Signal = CauseExit, ev.Status
		return true, rep, nil
	}
	s.stopCPU = ev.Stop.CPU
	if ev.Stop.Reason == target.StopWatch && s.arch.WatchesBefore {
		passed, err := s.passAccess(read, ev.Stop.CPU)
		if err != nil {
			return true, rep, err
		}
		if passed.Kind == target.EventExited || passed.Stop.Reason == target.StopForeign {
			return s.judge(ctx, passed, here)
		}
	}
	if ctx.Err() != nil && ev.Stop.Reason != target.StopBreakpoint && ev.Stop.Reason != target.StopWatch {
		rep.Cause = CauseInterrupt
		return true, rep, nil
	}
	switch ev.Stop.Reason {
	case target.StopInterrupt:
		rep.Cause = CauseInterrupt
		return true, rep, nil
	case target.StopForeign:
		rep.Cause = CauseForeign
		return true, rep, nil
	case target.StopWatch:
		if err := s.judgeWatch(read, ev.Stop, &rep); err != nil {
			return true, rep, err
		}
	}
	regs, err := s.machine.ReadRegisters(read, ev.Stop.CPU)
	if err != nil {
		return true, rep, fmt.Errorf("reading registers of CPU %d: %w", ev.Stop.CPU, err)
	}
	for _, b := range s.breaks {
		hit, err := s.hits(read, b, ev.Stop.CPU, regs.PC())
		if err != nil {
			rep.Cause, rep.Hit = CauseBreakpoint, []*Breakpoint{b}
			return true, rep, fmt.Errorf("condition of breakpoint %d: %w", b.ID, err)
		}
		if hit {
			rep.Hit = append(rep.Hit, b)
		}
	}
	if len(rep.Hit) > 0 {
		rep.Cause = CauseBreakpoint
		s.dropTemporary(rep.Hit)
		return true, rep, nil
	}
	if here != nil && here(read, ev.Stop.CPU, &regs) {
		rep.Cause = CauseStep
		return true, rep, nil
	}
	if s.patched(regs.PC()) || ev.Stop.Reason == target.StopWatch {
		if ctx.Err() != nil {
			rep.Cause = CauseInterrupt
			return true, rep, nil
		}
		return false, rep, nil // somebody else's hit passes silently
	}
	rep.Cause, rep.Signal = CauseSignal, ev.Stop.Signal
	return true, rep, nil
}

// patched reports whether a stop at pc is explained by one of our patches.
func (s *Session) patched(pc uint64) bool {
	for _, p := range s.inserted {
		if p.Addr == pc && !p.Kind.IsWatch() {
			return true
		}
	}
	return false
}

// hits counts a hit of b at pc and reports whether it stops the guest.
func (s *Session) hits(ctx context.Context, b *Breakpoint, cpu target.CPU, pc uint64) (bool, error) {
	at := false
	for _, a := range b.Addrs {
		at = at || a == pc
	}
	if !at || b.Disabled || b.IsWatch() {
		return false, nil
	}
	return s.counts(ctx, b, cpu)
}

// counts applies thread, condition and ignore count to a hit of b.
func (s *Session) counts(ctx context.Context, b *Breakpoint, cpu target.CPU) (bool, error) {
	if b.Thread != 0 {
		t, err := s.CurrentThread(ctx, cpu)
		if err != nil || t.ID != b.Thread {
			return false, err
		}
	}
	if b.Condition != "" {
		ok, err := s.holds(ctx, cpu, b.Condition)
		if err != nil || !ok {
			return false, err
		}
	}
	b.Hits++
	if b.Ignore > 0 {
		b.Ignore--
		return false, nil
	}
	return true, nil
}

func (s *Session) dropTemporary(hit []*Breakpoint) {
	for _, b := range hit {
		if b.Temporary {
			// It was found in the list a moment ago.
			if err := s.DeleteBreakpoint(b.ID); err != nil {
				panic(err)
			}
		}
	}
}

// Poll tells what happened to the guest while nobody waited for it: text it
// printed goes to Options.Output, the rest is returned in words.
func (s *Session) Poll(context.Context) []string {
	if s.live == nil || s.farewell != nil {
		return nil
	}
	var out []string
	for {
		select {
		case ev, ok := <-s.live.Events():
			if !ok {
				return out
			}
			switch ev.Kind {
			case target.EventOutput:
				if s.opt.Output != nil {
					s.opt.Output(ev.Text)
				}
			case target.EventResumed:
				s.newEpoch()
				out = append(out, "somebody else let the guest run")
			case target.EventStopped:
				s.newEpoch()
				s.stopCPU = ev.Stop.CPU
				out = append(out, "the guest stopped")
			case target.EventExited:
				out = append(out, "the guest ended")
			case target.EventLost:
				out = append(out, fmt.Sprintf("the link to the guest is gone: %v", ev.Err))
			}
		default:
			return out
		}
	}
}
