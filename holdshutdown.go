package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// HoldShutdown keeps the VM, paused, where its VMM would end it, so that what is
// left of a guest can be looked at. It is put back when the guest is left, or by
// the guard. The guest is under control (TakeOver), and runs on.
func (s *Session) HoldShutdown(ctx context.Context) error {
	a, ok := s.live.(*guard.Attachment)
	if !ok || s.observer == nil {
		return errors.New("the way to the guest has no monitor to hold its shutdown by")
	}
	mon, ok := s.observer.MonitorSocket()
	if !ok {
		return errors.New("the VMM has no monitor that may be used")
	}
	return a.HoldShutdown(ctx, mon)
}

// HoldsShutdown reports whether the VMM keeps a VM that ends anyway, as its
// command line says.
func (s *Session) HoldsShutdown(ctx context.Context) bool {
	p, ok := s.process(ctx)
	if !ok {
		return false
	}
	return p.KeepsEnded()
}

// process is the VMM of an observed guest.
func (s *Session) process(ctx context.Context) (vmm.Process, bool) {
	switch s.spec.Scheme {
	case target.PID:
		pid, err := strconv.Atoi(s.spec.Addr)
		if err != nil {
			return vmm.Process{}, false
		}
		p, err := vmm.ByPID(pid)
		return p, err == nil
	case target.QMP:
		found, err := vmm.ByListener(ctx, "unix:"+s.spec.Addr)
		if err != nil || len(found) != 1 {
			return vmm.Process{}, false
		}
		return found[0], true
	}
	return vmm.Process{}, false
}

// BriefStops reports whether the guest is behind a stub and read in short stops.
func (s *Session) BriefStops() bool {
	_, ok := s.observer.(*brief)
	return ok
}

// LetRun lets a guest that was taken over run on, still under control: whoever
// watches it is told of each stop.
func (s *Session) LetRun(ctx context.Context) error {
	if s.live == nil {
		return s.notLive()
	}
	s.newEpoch()
	return s.live.Resume(ctx)
}

// RunState asks the VMM's monitor for the run state of an observed VM: "running",
// "paused (shutdown)".
func (s *Session) RunState(ctx context.Context) (string, error) {
	text, err := s.Monitor(ctx, "info status")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(strings.TrimPrefix(text, "VM status:")), nil
}

// standsStill is the run state of an observed VM that does not run, "" for one that
// runs and for one whose monitor does not tell.
func (s *Session) standsStill(ctx context.Context) string {
	if !s.Observing() || s.BriefStops() {
		return ""
	}
	if _, ok := s.observer.MonitorSocket(); !ok {
		return ""
	}
	state, err := s.RunState(ctx)
	if err != nil || strings.HasPrefix(state, "running") {
		return ""
	}
	return state
}

// Ended reports whether a run state is one the guest does not come back from by
// itself: it has shut down, panicked, or its processor cannot go on.
func Ended(state string) bool {
	return slices.ContainsFunc([]string{"shutdown", "guest-panicked", "internal-error"}, func(s string) bool { return strings.Contains(state, s) })
}

// EndVM ends the VMM of an observed VM (QMP and HMP quit), as it would have ended
// by itself.
func (s *Session) EndVM(ctx context.Context) error {
	mon, ok := s.observer.MonitorSocket()
	if !ok {
		return errors.New("the VMM has no monitor that may be used")
	}
	err := mon.Do(ctx, func(c *qmp.Conn) error {
		_, err := c.HMP(ctx, "quit")
		return err
	})
	if err != nil && !errors.Is(err, qmp.ErrGone) {
		return fmt.Errorf("ending the VM: %w", err)
	}
	return nil
}
