package perfetto

import (
	"errors"
	"fmt"
	"iter"
	"sort"

	"github.com/ukdbg/ukdbg/exporters"
)

// Options say how a trace is written.
type Options struct {
	// Process is the guest's name.
	Process string
	// Clock maps the spans' times to Unix time.
	Clock exporters.Clock
	// Instants are records that belong to no span, shown on their thread's
	// track; nil for none. They are written after the spans, which viewers do
	// not mind.
	Instants iter.Seq2[exporters.Event, error]
	// Counters are values over time, a track each; nil for none.
	Counters iter.Seq2[exporters.Counter, error]
}

// counters calls emit for each of the options' counters.
func (o Options) counters(emit func(*exporters.Counter) error) error {
	if o.Counters == nil {
		return nil
	}
	for c, err := range o.Counters {
		if err != nil {
			return fmt.Errorf("reading counters to export: %w", err)
		}
		if err := emit(&c); err != nil {
			return err
		}
	}
	return nil
}

// cpuKey is the argument that says where a span began or an event happened.
const cpuKey = "cpu"

// withCPU adds the processor to attributes, if it is known.
func withCPU(attrs []exporters.Attr, cpu exporters.CPU) []exporters.Attr {
	if !cpu.Known {
		return attrs
	}
	return append(attrs[:len(attrs):len(attrs)], exporters.Int(cpuKey, int64(cpu.ID)))
}

// instants calls emit for each of the options' instants.
func (o Options) instants(emit func(*exporters.Event) error) error {
	if o.Instants == nil {
		return nil
	}
	for e, err := range o.Instants {
		if err != nil {
			return fmt.Errorf("reading records to export: %w", err)
		}
		if err := emit(&e); err != nil {
			return err
		}
	}
	return nil
}

// Stats counts what was written.
type Stats struct {
	Spans, Instants, Tracks, Counters int
}

// window is how many spans are put in order at a time. Within one window begins
// and ends nest exactly; across windows viewers sort by time, which leaves only
// the order of events at the very same nanosecond open. A span with its texts
// takes about 2 KiB.
const window = 1 << 13

// maxLanes bounds the tracks beside a thread's own; spans beyond share the last.
const maxLanes = 64

// placed is a span with its times on the trace's clock and the lane it fits in.
type placed struct {
	exporters.Span
	start, end int64
	lane       int
}

// windows calls emit with the spans in order of thread and time, window after
// window.
func windows(spans iter.Seq2[exporters.Span, error], clock exporters.Clock, emit func([]placed) error) error {
	var buf []placed
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		order(buf)
		err := emit(buf)
		buf = buf[:0]
		return err
	}
	for s, err := range spans {
		if err != nil {
			return errors.Join(flush(), fmt.Errorf("reading spans to export: %w", err))
		}
		p := placed{Span: s, start: traceTime(clock, s.Start), end: traceTime(clock, s.End)}
		p.end = max(p.start, p.end)
		buf = append(buf, p)
		if len(buf) == window {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// traceTime is guest time counted from the boot, with the pauses in it.
func traceTime(clock exporters.Clock, guest int64) int64 {
	unix, _ := clock.Unix(guest)
	return max(unix-clock.Boot(), 0)
}

// order sorts spans by thread, then outer before inner, and gives each the
// first lane of its thread where it nests.
func order(spans []placed) {
	sort.SliceStable(spans, func(i, j int) bool {
		a, b := &spans[i], &spans[j]
		if a.Thread != b.Thread {
			return lessThread(a.Thread, b.Thread)
		}
		if a.start != b.start {
			return a.start < b.start
		}
		if a.end != b.end {
			return a.end > b.end
		}
		return a.ID < b.ID
	})
	var lanes [][]int64 // ends of the open spans of each lane
	for i := range spans {
		if i == 0 || spans[i].Thread != spans[i-1].Thread {
			lanes = lanes[:0]
		}
		spans[i].lane, lanes = place(lanes, &spans[i])
	}
}

func place(lanes [][]int64, s *placed) (int, [][]int64) {
	for i := range lanes {
		open := lanes[i]
		for len(open) > 0 && open[len(open)-1] <= s.start && open[len(open)-1] < s.end {
			open = open[:len(open)-1]
		}
		if len(open) == 0 || s.end <= open[len(open)-1] {
			lanes[i] = append(open, s.end)
			return i, lanes
		}
		lanes[i] = open
	}
	if len(lanes) == maxLanes {
		return maxLanes - 1, lanes
	}
	return len(lanes), append(lanes, []int64{s.end})
}

func lessThread(a, b exporters.Thread) bool {
	if a.Known != b.Known {
		return b.Known
	}
	if a.ID != b.ID {
		return a.ID < b.ID
	}
	return a.Name < b.Name
}

// maxTracks bounds the tracks of a trace. Threads beyond share one.
const maxTracks = 1 << 12

// others is that track.
var others = track{thread: exporters.Thread{Name: "threads beyond the limit", Known: true}, lane: -1}

// track is one row of the viewer.
type track struct {
	thread exporters.Thread
	lane   int
}

func (t track) name() string {
	name := t.thread.Name
	switch {
	case !t.thread.Known:
		name = "thread not known"
	case name == "":
		name = fmt.Sprintf("thread %d", t.thread.ID)
	}
	if t.lane > 0 {
		name = fmt.Sprintf("%s (overlapping %d)", name, t.lane)
	}
	return name
}
