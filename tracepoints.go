package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// tracepoints tells whether code belongs to writing a trace record. In Unikraft
// a tracepoint trace_NAME is inlined into its caller and calls helpers.
type tracepoints struct {
	s     *Session
	names map[string]bool
	known map[uint64]bool // by code address
}

func newTracepoints(s *Session, defs *tracebuf.Definitions) *tracepoints {
	t := &tracepoints{s: s, names: map[string]bool{}, known: map[uint64]bool{}}
	for _, d := range defs.All {
		t.names["trace_"+d.Name] = true
	}
	return t
}

// holds tells whether a run-time address lies in a tracepoint.
func (t *tracepoints) holds(pc uint64) bool {
	in, ok := t.known[pc]
	if ok {
		return in
	}
	locs, err := t.s.Resolve(pc)
	for _, l := range locs {
		name, _, _ := strings.Cut(l.Function, "(")
		in = in || err == nil && (t.names[name] || strings.HasPrefix(name, "uk_trace_") || strings.HasPrefix(name, "__uk_trace"))
	}
	t.known[pc] = in
	return in
}

// occupied is where the guest is inside a tracepoint.
type occupied struct {
	// cpus are processors that are; they can be stepped out. saved names a
	// thread that is, by its saved context or below a trap.
	cpus  []target.CPU
	saved string
}

func (o *occupied) free() bool { return len(o.cpus) == 0 && o.saved == "" }

// inside looks at every processor's and every thread's stack, what a trap
// interrupted included. The guest must be stopped.
func (t *tracepoints) inside(ctx context.Context) (occupied, error) {
	var o occupied
	// What a processor does is told by its registers, not by the thread that the
	// scheduler believes it runs: it may be switching.
	for _, cpu := range t.s.cpus {
		regs, err := t.s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return o, err
		}
		frames, err := t.s.unwindRegs(ctx, regs)
		if err != nil && len(frames) == 0 {
			return o, fmt.Errorf("whether processor %d is inside a tracepoint: %w", cpu, err)
		}
		if t.any(frames) {
			o.cpus = append(o.cpus, cpu)
		}
	}
	threads, err := t.s.Threads(ctx)
	if err != nil {
		return o, fmt.Errorf("whether a thread is inside a tracepoint: %w", err)
	}
	for _, th := range threads {
		if th.Live || th.New {
			continue // it is on a processor, or never was
		}
		frames, err := t.s.unwind(ctx, th)
		if err != nil && len(frames) == 0 {
			return o, fmt.Errorf("whether thread %s is inside a tracepoint: %w", th.Name, err)
		}
		if t.any(frames) {
			o.saved = th.Name
		}
	}
	return o, nil
}

func (t *tracepoints) any(frames []unwind.Frame) bool {
	for i := range frames {
		if t.holds(frames[i].LookupPC) {
			return true
		}
	}
	return false
}

// Limits of getting out of a tracepoint: writing a record is a few dozen
// instructions.
const (
	maxStepsOut = 100
	maxLookings = 50
	// A guest is let run for longer and longer: on a busy host its processor may
	// not have had a turn yet.
	firstTurn = 50 * time.Microsecond
	lastTurn  = 10 * time.Millisecond
)

// errNeverOutside says that no moment was found to reset the buffer.
var errNeverOutside = errors.New("the guest was inside a tracepoint each time it was looked at")

// leave sees to it that nobody is inside a tracepoint: processors are stepped
// out, and where that does not do the guest is let run for a moment. The guest is
// stopped before and after; at is when, zero if it was not let run.
func (t *tracepoints) leave(ctx context.Context, run profiler.Guest) (at time.Time, err error) {
	stepped, turn := false, firstTurn
	for range maxLookings {
		o, err := t.inside(ctx)
		if err != nil || o.free() {
			return at, err
		}
		if o.saved == "" && !stepped {
			stepped = true
			for _, cpu := range o.cpus {
				if err := t.stepOut(ctx, cpu); err != nil {
					return at, err
				}
			}
			continue
		}
		stepped = false
		if err := run.Resume(ctx); err != nil {
			return at, err
		}
		t.s.newEpoch()
		time.Sleep(turn)
		turn = min(2*turn, lastTurn)
		if _, at, err = run.Stop(ctx); err != nil {
			return at, err
		}
		t.s.newEpoch()
	}
	return at, errNeverOutside
}

// stepOut steps one processor until its own code is in no tracepoint. That a
// caller is, the next look tells.
func (t *tracepoints) stepOut(ctx context.Context, cpu target.CPU) error {
	for range maxStepsOut {
		if _, err := t.s.stepInstruction(ctx, cpu); err != nil {
			return err
		}
		regs, err := t.s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return err
		}
		if !t.holds(regs.PC()) {
			return nil
		}
	}
	return nil
}
