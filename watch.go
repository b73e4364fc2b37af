package ukdbg

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// maxWatch bounds what a watchpoint may cover, in bytes: one debug register.
const maxWatch = 8

// saveWatched remembers the values of all watched data before the guest runs.
func (s *Session) saveWatched(ctx context.Context) error {
	for _, b := range s.breaks {
		if !b.IsWatch() || b.Disabled {
			continue
		}
		v, err := s.watched(ctx, b)
		if err != nil {
			return fmt.Errorf("watchpoint %d: %w", b.ID, err)
		}
		b.old = v
	}
	return nil
}

func (s *Session) watched(ctx context.Context, b *Breakpoint) ([]byte, error) {
	if b.Len < 1 || b.Len > maxWatch {
		return nil, fmt.Errorf("%s has %d bytes; hardware watches 1 to %d", b.Where, b.Len, maxWatch)
	}
	v := make([]byte, b.Len)
	return v, target.ReadFull(ctx, s.mem, v, b.Addrs[0])
}

// judgeWatch decides about a watchpoint hit: which one, and whether what was
// watched is worth a stop. As in gdb a write that leaves the value unchanged
// passes silently, a read always counts.
func (s *Session) judgeWatch(ctx context.Context, stop target.Stop, rep *StopReport) error {
	return s.judgeWatched(ctx, rep, func(b *Breakpoint, same bool) bool {
		return stop.WatchAddr >= b.Addrs[0] && stop.WatchAddr-b.Addrs[0] < uint64(b.Len) && (!same || b.Kind != target.WatchWrite)
	})
}

// judgeStepped decides about what was watched after one instruction without
// watchpoints in the guest, by its values alone.
func (s *Session) judgeStepped(ctx context.Context, cpu target.CPU) (bool, StopReport, error) {
	rep := StopReport{CPU: cpu, Cause: CauseBreakpoint}
	err := s.judgeWatched(ctx, &rep, func(b *Breakpoint, same bool) bool { return !same && b.Kind != target.WatchRead })
	s.dropTemporary(rep.Hit)
	return len(rep.Hit) > 0 || err != nil, rep, err
}

// judgeWatched adds to rep the watchpoints that were hit, as touched says of each
// and whether its value is the same as before.
func (s *Session) judgeWatched(ctx context.Context, rep *StopReport, touched func(b *Breakpoint, same bool) bool) error {
	for _, b := range s.breaks {
		if !b.IsWatch() || b.Disabled {
			continue
		}
		now, err := s.watched(ctx, b)
		if err != nil {
			return fmt.Errorf("watchpoint %d: %w", b.ID, err)
		}
		same := bytes.Equal(now, b.old)
		if !touched(b, same) {
			continue
		}
		ok, err := s.counts(ctx, b, rep.CPU)
		if err != nil {
			return fmt.Errorf("condition of watchpoint %d: %w", b.ID, err)
		}
		if ok {
			rep.Hit = append(rep.Hit, b)
			rep.Old, rep.New = nil, now
			if !same && b.Kind != target.WatchRead { // which was written meanwhile
				rep.Old = b.old
			}
		}
		b.old = now
	}
	return nil
}

// passAccess executes the instruction that hit a watchpoint where processors stop
// before it: with nothing in the guest that would stop it again.
func (s *Session) passAccess(ctx context.Context, cpu target.CPU) (target.Event, error) {
	regs, err := s.machine.ReadRegisters(ctx, cpu)
	if err != nil {
		return target.Event{}, fmt.Errorf("reading registers of CPU %d: %w", cpu, err)
	}
	off := slices.DeleteFunc(slices.Clone(s.inserted), func(b target.Breakpoint) bool {
		return !b.Kind.IsWatch() && b.Addr != regs.PC()
	})
	if err := s.takeOut(ctx, off); err != nil {
		return target.Event{}, err
	}
	ev, err := s.stepInstruction(ctx, cpu)
	if err != nil || ev.Kind == target.EventExited {
		return ev, err
	}
	return ev, s.insert(ctx, off)
}
