package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// ErrObserved: the request needs a guest that is under control, and it is only
// observed.
var ErrObserved = errors.New("the guest is observed while it runs: 'interrupt' opens a stub to stop it")

// notLive is why a session without control cannot do what needs it.
func (s *Session) notLive() error {
	if err := s.mayChange(); err != nil {
		return err
	}
	if s.Observing() {
		return ErrObserved
	}
	return ErrNotLive
}

// ErrReadOnly: the session may not change the guest.
var ErrReadOnly = gdbstub.ErrReadOnly

// mayChange is ErrReadOnly if the guest may not be changed, stopped or let run.
func (s *Session) mayChange() error {
	if s.opt.Guard.ReadOnly {
		return ErrReadOnly
	}
	return nil
}

// TakeOver makes an observed guest one that can be stopped and changed: by the
// stub its VMM has, or by a temporary one opened through the monitor, under
// guard. The guest stands afterwards. It does nothing to a guest that is under
// control already.
func (s *Session) TakeOver(ctx context.Context) error {
	if s.live != nil {
		return nil
	}
	if s.observer == nil {
		return ErrNotLive
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	timeout := s.opt.Timeout
	if timeout == 0 {
		timeout = connectPatience
	}
	dial, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := s.openStub(dial)
	if err != nil {
		return mark(fmt.Errorf("taking the guest over: %w", err), ErrUnreachable)
	}
	s.live = a
	s.changeMachine(a, newCache(s.without(a)))
	if s.cpus, err = s.machine.CPUs(ctx); err != nil {
		_, rerr := s.Release(context.WithoutCancel(ctx))
		return errors.Join(mark(fmt.Errorf("asking for the processors: %w", err), ErrUnreachable), rerr)
	}
	return nil
}

// openStub attaches to the VMM's stub, or to one opened for the time.
func (s *Session) openStub(ctx context.Context) (*guard.Attachment, error) {
	link := gdbstub.Options{Arch: s.arch}
	mon, ok := s.observer.MonitorSocket()
	if own := s.observer.Stubs(); len(own) > 0 {
		// Opening another would take the VMM's own away from whoever uses it.
		spec, err := target.ParseSpec(own[0])
		if err != nil {
			return nil, err
		}
		return guard.Attach(ctx, spec, s.opt.Guard, link)
	}
	if !ok {
		_, err := s.observer.ReadRegisters(ctx, 0)
		var none interface{ Why() string }
		if errors.As(err, &none) {
			err = mark(errors.New(none.Why()), target.ErrUnsupported)
		}
		return nil, fmt.Errorf("a stub is opened through a monitor: %w", err)
	}
	return guard.TemporaryStub(ctx, mon, s.opt.Guard, link)
}

// Release gives a guest that was taken over back and observes it again. The
// farewell tells of this time under control alone. Breakpoints stay listed; they
// are in the guest only while it is under control.
func (s *Session) Release(ctx context.Context) (target.Farewell, error) {
	if s.observer == nil || s.live == nil {
		return target.Farewell{}, errors.New("the guest was not taken over from observing")
	}
	bye, err := s.live.Leave(ctx)
	s.live, s.inserted = nil, nil
	s.past.Stops += bye.Stops
	s.past.Stopped += bye.Stopped
	s.past.Longest = max(s.past.Longest, bye.Longest)
	s.changeMachine(s.observer, s.view)
	if err != nil {
		return bye, mark(fmt.Errorf("giving the guest back: %w", err), ErrUnreachable)
	}
	s.cpus, err = s.machine.CPUs(ctx)
	return bye, err
}

// changeMachine goes on with another way to the same guest.
func (s *Session) changeMachine(m machine, mem memory) {
	s.machine, s.mem = newProcessors(m), mem
	s.newEpoch()
}

// TakenOver reports whether an observed guest is under control just now.
func (s *Session) TakenOver() bool { return s.observer != nil && s.live != nil }

// ObservedText tells a person what observing has cost the guest, "" if it was
// not observed.
func (s *Session) ObservedText() string {
	if s.observer == nil {
		return ""
	}
	cost := s.observer.Cost()
	text := "guest never stopped"
	if b, ok := s.observer.(*brief); ok && b.bye != nil {
		return fmt.Sprintf("guest as it was found · stopped %d times, %s in all", b.bye.Stops, roundDuration(b.bye.Stopped)) + note(CapText(*b.bye, b.max)) + note(b.bye.Note)
	}
	if s.past.Stops > 0 {
		text = fmt.Sprintf("guest stopped %s in all", roundDuration(s.past.Stopped))
	}
	if cost.Commands > 0 {
		text += fmt.Sprintf(" · %s, registers read %d times, %s", plural(cost.Commands, "monitor command"), cost.registerReads, cost.heldText())
	}
	return text
}

// MonitorUse is what the monitor of an observed VM was used for: how often, and for
// how long others could have had to wait for it at most.
func (s *Session) MonitorUse() qmp.Use {
	if s.observer == nil {
		return qmp.Use{}
	}
	return s.observer.Cost().Use
}

// CapText tells a person how far the cap on a single stop was kept, "" without
// one: our own part of the longest stop, and all of it, from the moment it was
// asked for until the VMM had acknowledged its end.
func CapText(f target.Farewell, most time.Duration) string {
	if most <= 0 || f.Stops == 0 {
		return ""
	}
	all := max(f.Longest, f.Latest)
	text := fmt.Sprintf("of the %v allowed at most %s used, %s with the VMM's time to stop and to go on", most, roundDuration(f.Held), roundDuration(all))
	if f.Lapsed > 0 {
		text += fmt.Sprintf(", %s ended early for it", plural(f.Lapsed, "stop"))
	}
	switch {
	case f.Held > most:
		text += ": this host did not run ukdbg in time"
	case all > most:
		text += ": this host did not run the VMM in time"
	}
	return text
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return " · " + text
}
