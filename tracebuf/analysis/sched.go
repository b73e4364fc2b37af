package analysis

import (
	"cmp"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// WakeupPoint is the tracepoint by which a scheduler tells that a thread can
// run again; its first argument is the thread.
const WakeupPoint = "sched_wakeup"

// ThreadTime is where a thread's time went.
type ThreadTime struct {
	Guest *stream.Guest
	Name  string
	// Running and Off are nanoseconds on and off the processor between the
	// thread's first and last switch in the trace.
	Running, Off uint64
	Switches     uint64
	// OffCPU has the single times off the processor, Latency those from a
	// wake-up to running.
	OffCPU, Latency hist.Histogram

	on, off, woken  uint64
	isOn, isOff, up bool
}

// Sched follows the scheduler's tracepoints.
type Sched struct {
	threads map[*stream.Guest]map[string]*ThreadTime
	points  map[*stream.Guest]schedPoints
}

type schedPoints struct {
	sw, wakeup int // Definition.Index, -1 for none
	from, to   int
}

// NewSched returns an empty analysis.
func NewSched() *Sched {
	return &Sched{threads: map[*stream.Guest]map[string]*ThreadTime{}, points: map[*stream.Guest]schedPoints{}}
}

func (a *Sched) of(g *stream.Guest) schedPoints {
	p, ok := a.points[g]
	if ok {
		return p
	}
	p = findSched(g)
	a.points[g], a.threads[g] = p, map[string]*ThreadTime{}
	return p
}

// findSched finds the scheduler's tracepoints.
func findSched(g *stream.Guest) schedPoints {
	p := schedPoints{sw: -1, wakeup: -1}
	for i, d := range g.Definitions.All {
		if g.Switch != nil && d.Name == g.Switch.Name {
			p.sw, p.from, p.to = i, g.Switch.From, g.Switch.To
		}
		if d.Name == WakeupPoint && len(d.Args) > 0 {
			p.wakeup = i
		}
	}
	return p
}

// maxThreads bounds the threads of one guest.
const maxThreads = 4096

func (a *Sched) thread(g *stream.Guest, r *tracebuf.Record, arg int) *ThreadTime {
	if arg < 0 || arg >= len(r.Def.Args) {
		return nil
	}
	name := ""
	if r.Def.Args[arg].Type == tracebuf.ArgString {
		name = r.String(arg)
	} else {
		name = g.ThreadName(r.Uint(arg))
	}
	t := a.threads[g][name]
	if t == nil && name != "" && len(a.threads[g]) < maxThreads {
		t = &ThreadTime{Guest: g, Name: name}
		a.threads[g][name] = t
	}
	return t
}

// Record takes a record; it is a Visitor's.
func (a *Sched) Record(s *Seen) error {
	p, r := a.of(s.Guest), s.Rec
	switch r.Def.Index {
	case p.sw:
		if t := a.thread(s.Guest, r, p.from); t != nil {
			t.leaves(r.Time)
		}
		if t := a.thread(s.Guest, r, p.to); t != nil {
			t.runs(r.Time)
		}
	case p.wakeup:
		if t := a.thread(s.Guest, r, 0); t != nil && !t.isOn {
			// Woken twice, it waits since the first time.
			if !t.up {
				t.up, t.woken = true, r.Time
			}
		}
	}
	return nil
}

func (t *ThreadTime) leaves(now uint64) {
	if t.isOn {
		t.Running += now - min(now, t.on)
	}
	t.isOn, t.isOff, t.off, t.up = false, true, now, false
}

func (t *ThreadTime) runs(now uint64) {
	t.Switches++
	if t.isOff {
		d := now - min(now, t.off)
		t.Off += d
		t.OffCPU.Add(d)
	}
	if t.up {
		t.Latency.Add(now - min(now, t.woken))
	}
	t.isOn, t.on, t.isOff, t.up = true, now, false, false
}

// Gap forgets what is under way: records are missing here.
func (a *Sched) Gap(g *stream.Guest) {
	for _, t := range a.threads[g] {
		t.isOn, t.isOff, t.up = false, false, false
	}
}

// Threads returns the threads, those longest off the processor first.
func (a *Sched) Threads() []*ThreadTime {
	var out []*ThreadTime
	for _, m := range a.threads {
		for _, t := range m {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y *ThreadTime) int {
		return cmp.Or(cmp.Compare(x.Guest.Number, y.Guest.Number), cmp.Compare(y.Running, x.Running), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// Missing names the tracepoints that would tell more.
func (a *Sched) Missing(g *stream.Guest) []string {
	p := a.of(g)
	var out []string
	if p.sw < 0 {
		out = append(out, "threads and their time off the processor: no tracepoint "+stream.SwitchPoint)
	}
	if p.wakeup < 0 {
		out = append(out, "wake-up latency: no tracepoint "+WakeupPoint)
	}
	return out
}
