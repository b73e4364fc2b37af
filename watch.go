package ukdbg

import (
	"bytes"
	"context"
	"fmt"

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
func (s *Session) judgeWatch(ctx context.Context, stop target.Stop, rep StopReport) (bool, StopReport, error) {
	for _, b := range s.breaks {
		if !b.IsWatch() || b.Disabled || stop.WatchAddr < b.Addrs[0] || stop.WatchAddr-b.Addrs[0] >= uint64(b.Len) {
			continue
		}
		now, err := s.watched(ctx, b)
		if err != nil {
			return true, rep, fmt.Errorf("watchpoint %d: %w", b.ID, err)
		}
		same := bytes.Equal(now, b.old)
		if same && b.Kind == target.WatchWrite {
			continue
		}
		ok, err := s.counts(ctx, b, stop.CPU)
		if err != nil {
			return true, rep, fmt.Errorf("condition of watchpoint %d: %w", b.ID, err)
		}
		if !ok {
			b.old = now
			continue
		}
		rep.Hit = append(rep.Hit, b)
		rep.New = now
		if !same {
			rep.Old = b.old
		}
		b.old = now
	}
	if len(rep.Hit) == 0 {
		return false, rep, nil
	}
	rep.Cause = CauseBreakpoint
	s.dropTemporary(rep.Hit)
	return true, rep, nil
}
