package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// mostWalked bounds the threads of which a profile takes the stack at each
// sample; how many were left out is told.
const mostWalked = 4096

// walker takes the stacks of all threads for a wall clock or an off-CPU profile.
type walker struct {
	s *Session
	// off leaves out threads that run.
	off bool
	// left counts threads beyond mostWalked, torn samples of a guest that never
	// stood still while it was read.
	left, torn int
	// waits are the threads' states by their text in a sample, to be refined by
	// the stack.
	waits map[string]kernel.Thread
}

// walk is profiler.Sampler's Walk.
func (w *walker) walk(ctx context.Context, window int) ([]*profiler.Capture, error) {
	var caps []*profiler.Capture
	s := w.s
	s.newEpoch()
	err := s.settle(ctx, func() error {
		caps = caps[:0]
		if err := s.listThreads(ctx); err != nil {
			return err
		}
		threads := s.threads
		if len(threads) > mostWalked {
			w.left = max(w.left, len(threads)-mostWalked)
			threads = threads[:mostWalked]
		}
		var ranges []target.Range
		var ends []int
		var chosen []*Thread
		for i := range threads {
			t := &threads[i]
			if !w.wanted(t) {
				continue
			}
			if t.RegsErr == nil && t.Regs.Arch != nil {
				ranges = append(ranges, profiler.StackRanges(t.Regs.SP(), window)...)
			}
			ends = append(ends, len(ranges))
			chosen = append(chosen, t)
		}
		if err := target.ReadMany(ctx, s.mem, ranges); err != nil {
			return fmt.Errorf("reading the stacks: %w", err)
		}
		from := 0
		for i, t := range chosen {
			caps = append(caps, w.capture(t, ranges[from:ends[i]]))
			from = ends[i]
		}
		return nil
	})
	if errors.Is(err, kernel.ErrAbsent) {
		return nil, err
	}
	if err == nil && s.torn != "" {
		w.torn++
	}
	return caps, err
}

// wanted leaves out threads that are nowhere.
func (w *walker) wanted(t *Thread) bool {
	switch {
	case t.State == kernel.Exited, t.RegsErr != nil, t.New && t.Entry == 0:
		return false
	case w.off && (t.State == kernel.Running || idle(t.Thread)):
		return false // what an idle thread waits for is work
	}
	return true
}

// idle reports whether a thread is the one of those times when there is nothing
// to do.
func idle(t kernel.Thread) bool { return t.State == kernel.Idle || t.Name == "idle" }

func (w *walker) capture(t *Thread, stack []target.Range) *profiler.Capture {
	c := profiler.NewCapture(t.Regs, stack)
	if t.CPU != kernel.NoCPU && t.State == kernel.Running {
		c.CPU = t.CPU
	}
	c.Code = imageMemory{w.s}
	c.Returning = t.Returning
	c.Thread = profiler.Thread{ID: int64(t.ID), Name: t.Name, Known: true, Idle: idle(t.Thread)}
	c.State = t.State.String()
	if t.Wait != "" {
		// Who holds a lock changes all the time and belongs to no series.
		what, _, _ := strings.Cut(t.Wait, ", held by ")
		c.State = "waits for " + what
	}
	if _, ok := w.waits[c.State]; !ok && len(w.waits) < 1<<12 {
		w.waits[c.State] = kernel.Thread{State: t.State, Wait: t.Wait}
	}
	return c
}

// refine tells from a sample's stack why its thread waits, as Explain does.
func (w *walker) refine(p *profiler.Profile) {
	for i := range p.Samples {
		sample := &p.Samples[i]
		t, ok := w.waits[sample.State]
		if !ok || t.Wait != "" {
			continue
		}
		names := make([]string, 0, len(sample.Stack))
		for _, f := range sample.Stack {
			names = append(names, f.Function)
		}
		if unikraft.RefineWait(&t, names); t.Wait != "" {
			sample.State = "waits for " + t.Wait
		}
	}
	if w.left > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("up to %d threads beyond %d were left out of a sample", w.left, mostWalked))
	}
	if w.torn > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d of %d samples are torn: the guest never stood still while its threads were read", w.torn, p.Ticks))
	}
}
