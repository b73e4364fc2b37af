package ukdbg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"time"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Top watches a guest: what its threads, functions, memory and traces do in one
// interval after the other.
type Top struct {
	s    *Session
	opt  ProfileOptions
	last *Overview
	// exec is each thread's time on the processor at the last look, by address.
	exec map[uint64]uint64
	// traced is the guest time of the newest record seen.
	traced uint64
	pause  profiler.Pause
}

// Overview is a guest over one interval.
type Overview struct {
	Taken    time.Time
	Interval time.Duration
	Threads  []BusyThread
	// Profile is what the processors did, nil where they cannot be sampled; then
	// Unsampled says why.
	Profile   *profiler.Profile
	Unsampled string
	Heap      []HeapUse
	// HeapWhy says why there is nothing of the heap, "" if there is.
	HeapWhy string
	Trace   TraceRate
	// Pause is what all looks so far cost the guest.
	Pause profiler.Pause
	// Status is what stopped the guest by itself or what its VMM says, "" while it
	// runs.
	Status string
}

// BusyThread is a thread and what it did.
type BusyThread struct {
	Thread
	// Share is the part of the interval it was on a processor, from 0 to 1; Known
	// says that it was counted by the guest, or else estimated by samples.
	Share   float64
	Counted bool
}

// HeapUse is an allocator and how its use changed.
type HeapUse struct {
	kernel.Allocator
	// Grown is how many bytes more are used than at the look before.
	Grown int64
}

// TraceRate is what was recorded.
type TraceRate struct {
	// Records are those since the look before, Rate as many a second.
	Records uint64
	Rate    float64
	// Names are the most frequent tracepoints with their records.
	Names []NameCount
	// Full: the buffer is full, nothing is recorded any more.
	Full bool
	// Why says why there is nothing to tell, "" if there is.
	Why string
}

// NameCount is how often a tracepoint was passed.
type NameCount struct {
	Name  string
	Count uint64
}

// NewTop begins to watch; opt says how it is sampled, its Duration is the length of
// an interval, 1 s if 0.
func NewTop(s *Session, opt ProfileOptions) *Top {
	if opt.Duration == 0 {
		opt.Duration = time.Second
	}
	return &Top{s: s, opt: opt, exec: map[uint64]uint64{}}
}

// Next samples the guest for one interval and looks at the rest at its end.
func (t *Top) Next(ctx context.Context) (*Overview, error) {
	if t.last == nil {
		// What the first interval is compared with.
		if err := t.look(ctx, &Overview{}); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	o := &Overview{}
	p, err := t.s.Profile(ctx, t.opt)
	if p != nil {
		t.pause.Total += p.Pause.Total
		t.pause.Longest = max(t.pause.Longest, p.Pause.Longest)
		t.pause.Stops += p.Pause.Stops
		t.pause.Exits += p.Pause.Exits
		o.Status = p.Ended
	}
	switch {
	case p != nil && p.Ticks > 0:
		o.Profile = p
	case errors.Is(err, ErrUnreachable):
		return nil, err
	default:
		switch {
		case err != nil:
			o.Unsampled = err.Error()
		case o.Status != "":
			o.Unsampled = "no sample: " + o.Status
		case p.Abandoned > 0:
			o.Unsampled = fmt.Sprintf("no sample: all %d were given up, as stops lasted too long", p.Abandoned)
		default:
			o.Unsampled = "no sample: the stops before this interval used up its pause budget; the next intervals make up for it (--pause-budget allows more, --interval waits longer)"
		}
		if rest := t.opt.Duration - time.Since(begin); rest > 0 {
			select {
			case <-time.After(rest):
			case <-ctx.Done():
			}
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if state := t.s.standsStill(ctx); o.Status == "" && state != "" {
		o.Status = "the VM is " + state + ": nothing runs"
	}
	o.Interval = time.Since(begin)
	if t.last != nil {
		o.Interval = time.Since(t.last.Taken)
	}
	if err := t.look(ctx, o); err != nil {
		return nil, err
	}
	return o, nil
}

// look fills in what is read rather than sampled.
func (t *Top) look(ctx context.Context, o *Overview) error {
	t.s.Look()
	o.Taken, o.Pause = time.Now(), t.pause
	if _, capped := t.s.observer.(*brief); capped || t.s.Live() {
		t.sampled(o)
		return nil
	}
	if err := t.threads(ctx, o); err != nil {
		return err
	}
	t.heap(ctx, o)
	t.trace(ctx, o)
	t.last = o
	return nil
}

// sampled fills in what samples alone tell: over a stub all else would stop the
// guest for much longer than they do.
func (t *Top) sampled(o *Overview) {
	t.last = o
	o.HeapWhy = "not read over a stub, since the guest would stand still for it: name it by qmp: or pid:"
	o.Trace.Why = o.HeapWhy
	if o.Profile == nil {
		return
	}
	at := map[int64]int{}
	for i := range o.Profile.Samples {
		s := &o.Profile.Samples[i]
		if !s.Thread.Known {
			continue
		}
		k, ok := at[s.Thread.ID]
		if !ok {
			k = len(o.Threads)
			at[s.Thread.ID] = k
			th := kernel.Thread{ID: int(s.Thread.ID), Name: s.Thread.Name, State: kernel.Running, CPU: s.CPU}
			o.Threads = append(o.Threads, BusyThread{Thread: Thread{Thread: th}})
		}
		o.Threads[k].Share += float64(s.Count) / float64(o.Profile.Ticks)
	}
	slices.SortStableFunc(o.Threads, busiest)
}

func busiest(a, b BusyThread) int {
	return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.ID, b.ID))
}

func (t *Top) threads(ctx context.Context, o *Overview) error {
	threads, err := t.s.Threads(ctx)
	if err != nil {
		return err
	}
	samples := map[int64]int64{}
	if o.Profile != nil {
		for i := range o.Profile.Samples {
			if s := &o.Profile.Samples[i]; s.Thread.Known {
				samples[s.Thread.ID] += s.Count
			}
		}
	}
	for _, th := range threads {
		b := BusyThread{Thread: th}
		if frames, err := t.s.Backtrace(ctx, th); err == nil {
			b.Thread = t.s.Explain(th, frames)
		}
		switch was, ok := t.exec[th.Addr]; {
		case th.ExecTime != nil && ok && *th.ExecTime > was && o.Interval > 0:
			b.Share, b.Counted = float64(*th.ExecTime-was)/float64(o.Interval), true
		case o.Profile != nil && o.Profile.Ticks > 0:
			b.Share = float64(samples[int64(th.ID)]) / float64(o.Profile.Ticks)
		}
		b.Share = min(b.Share, 1)
		if th.ExecTime != nil {
			t.exec[th.Addr] = *th.ExecTime
		}
		o.Threads = append(o.Threads, b)
	}
	slices.SortStableFunc(o.Threads, busiest)
	return nil
}

func (t *Top) heap(ctx context.Context, o *Overview) {
	h, err := t.s.Heap(ctx)
	if err != nil {
		o.HeapWhy = err.Error()
		return
	}
	for _, a := range h.Allocators {
		u := HeapUse{Allocator: a}
		if t.last != nil {
			for _, b := range t.last.Heap {
				if b.Addr == a.Addr && b.Known && a.Known {
					u.Grown = int64(a.Used) - int64(b.Used)
				}
			}
		}
		o.Heap = append(o.Heap, u)
	}
}

// topNames is how many tracepoints are named.
const topNames = 5

func (t *Top) trace(ctx context.Context, o *Overview) {
	snap, err := t.s.Trace(ctx)
	if err != nil {
		o.Trace.Why = err.Error()
		return
	}
	counts := map[string]uint64{}
	newest := t.traced
	v := analysis.Visitor{Record: func(s *analysis.Seen) error {
		if s.Rec.Time > t.traced {
			counts[s.Rec.Def.Name]++
			o.Trace.Records++
		}
		newest = max(newest, s.Rec.Time)
		return nil
	}}
	if _, err := (&analysis.Query{}).Run([]stream.Source{snap.Source()}, v); err != nil {
		o.Trace.Why = err.Error()
		return
	}
	t.traced = newest
	o.Trace.Full = snap.Snapshot.Info.Full
	if o.Interval > 0 {
		o.Trace.Rate = float64(o.Trace.Records) / o.Interval.Seconds()
	}
	for name, n := range counts {
		o.Trace.Names = append(o.Trace.Names, NameCount{name, n})
	}
	slices.SortFunc(o.Trace.Names, func(a, b NameCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	o.Trace.Names = o.Trace.Names[:min(topNames, len(o.Trace.Names))]
}

// Text says what the trace does, in a line.
func (r TraceRate) Text() string {
	switch {
	case r.Why != "":
		return r.Why
	case r.Full && r.Records == 0:
		return "the buffer is full: nothing is recorded (ukdbg trace record drains it)"
	}
	text := fmt.Sprintf("%.0f records/s", r.Rate)
	for i, n := range r.Names {
		sep := " · "
		if i > 0 {
			sep = ", "
		}
		text += fmt.Sprintf("%s%s %d", sep, n.Name, n.Count)
	}
	if r.Full {
		text += " · the buffer is full now"
	}
	return text
}
