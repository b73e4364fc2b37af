package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

// ErrNoSwitches says that the guest's tracepoints cannot be switched, because its
// image was built without uktrace.
var ErrNoSwitches = errors.New("the image was built without uktrace (guest/uktrace), so its tracepoints cannot be switched")

// TracePoint is a tracepoint and its switch in the guest.
type TracePoint struct {
	Name string
	// Enabled is whether it records, Frames how many return addresses each of
	// its records gets.
	Enabled bool
	Frames  int
	// Format is the C printf format of its arguments.
	Format string
}

// TracePoints lists the tracepoints with their switches, and whether tracing is
// on at all.
func (s *Session) TracePoints(ctx context.Context) (points []TracePoint, on bool, err error) {
	rings, list, err := s.switches(ctx)
	if err != nil {
		return nil, false, err
	}
	state, err := rings.State(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, p := range list {
		points = append(points, p.TracePoint)
	}
	return points, state.On, nil
}

// namedPoint is a switch and what it switches.
type namedPoint struct {
	TracePoint
	at ring.Point
}

// switches reads all of them.
func (s *Session) switches(ctx context.Context) (*ring.Rings, []namedPoint, error) {
	g, err := s.traceGuest(ctx)
	if err != nil {
		return nil, nil, err
	}
	rings, err := s.rings(ctx)
	if errors.Is(err, ring.ErrNone) {
		err = ErrNoSwitches
	}
	if err != nil {
		return nil, nil, err
	}
	points, err := rings.Points(ctx)
	if err != nil {
		return nil, nil, err
	}
	var list []namedPoint
	for _, p := range points {
		d := g.Definitions.Lookup(p.Cookie - s.mapping.Slide)
		if d == nil {
			return nil, nil, fmt.Errorf("%w: the tracepoint at %#x is none of the image", ring.ErrUntrusted, p.Addr)
		}
		list = append(list, namedPoint{TracePoint{Name: d.Name, Enabled: p.Enabled, Frames: p.Frames, Format: d.Format}, p})
	}
	return rings, list, nil
}

// SwitchTracePoints sets the switches of the tracepoints whose name matches one
// of the patterns (with * and ?) and returns how these are now. A frames below 0
// leaves the depth of backtraces as it is. A guest that is only observed is taken
// over for the time of the writing. The switches stay as set.
func (s *Session) SwitchTracePoints(ctx context.Context, patterns []string, enabled bool, frames int) ([]TracePoint, error) {
	if frames > ring.MaxFrames {
		return nil, mark(fmt.Errorf("%d return addresses a record: at most %d", frames, ring.MaxFrames), ErrUsage)
	}
	// What is wrong with the request costs the guest nothing.
	_, list, err := s.switches(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := match(list, patterns)
	if err != nil {
		return nil, err
	}
	if err := s.TakeOver(ctx); err != nil {
		return nil, err
	}
	rings, list, err := s.switches(ctx)
	if err != nil {
		return nil, err
	}
	for i, p := range list {
		if !chosen[i] {
			continue
		}
		p.at.Enabled = enabled
		if frames >= 0 {
			p.at.Frames = frames
		}
		if err := rings.SetPoint(ctx, writer{s}, p.at); err != nil {
			return nil, err
		}
	}
	_, list, err = s.switches(ctx)
	if err != nil {
		return nil, err
	}
	var now []TracePoint
	for i, p := range list {
		if chosen[i] {
			now = append(now, p.TracePoint)
		}
	}
	return now, nil
}

// match chooses by the patterns, each of which must match something.
func match(list []namedPoint, patterns []string) (map[int]bool, error) {
	chosen := map[int]bool{}
	for _, pattern := range patterns {
		some := false
		for i, p := range list {
			ok, err := path.Match(pattern, p.Name)
			if err != nil {
				return nil, mark(fmt.Errorf("pattern %q: %w", pattern, err), ErrUsage)
			}
			if ok {
				chosen[i], some = true, true
			}
		}
		if !some {
			return nil, mark(fmt.Errorf("no tracepoint is named like %q", pattern), ErrUsage)
		}
	}
	return chosen, nil
}
