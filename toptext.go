package ukdbg

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// shownThreads and shownFunctions bound the lines of an overview.
const (
	shownThreads   = 16
	shownFunctions = 10
)

// WriteOverview shows an overview to people.
func WriteOverview(w io.Writer, o *Overview, name string) {
	idle := 0.0
	busy := 0
	for _, t := range o.Threads {
		if idleThread(t) {
			idle += t.Share
		} else if t.Share > 0 {
			busy++
		}
	}
	fmt.Fprintf(w, "%s · %s · %d threads, %d ran, idle %.0f %% · guest stopped %s in %d stops\n", escape(name), o.Taken.Format(time.TimeOnly),
		len(o.Threads), busy, 100*idle, roundDuration(o.Pause.Total), o.Pause.Stops)
	if o.Status != "" {
		fmt.Fprintf(w, "%s\n", escape(o.Status))
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "   CPU\tID\tTHREAD\tDOES\n")
	for i, t := range o.Threads {
		if i == shownThreads {
			fmt.Fprintf(tw, "\t\t… %d more\t\n", len(o.Threads)-i)
			break
		}
		fmt.Fprintf(tw, "%5.1f %%\t%d\t%s\t%s\n", 100*t.Share, t.ID, escape(t.Name), escape(t.Doing()))
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
	fmt.Fprintln(w)
	if o.Profile != nil {
		busy := o.Profile.Busy()
		_, total := o.Profile.Total()
		count, _ := busy.Total()
		fmt.Fprintf(tw, "  FLAT\tCUM\tFUNCTION (%d samples that did not idle)\n", count)
		for _, f := range top(busy, shownFunctions) {
			fmt.Fprintf(tw, "%5.1f %%\t%5.1f %%\t%s\n", percent(f.FlatValue, total), percent(f.CumValue, total), escape(f.Function))
		}
		if tw.Flush() != nil {
			return // as above
		}
	} else {
		fmt.Fprintf(w, "functions: %s\n", escape(o.Unsampled))
	}
	fmt.Fprintln(w)
	if o.HeapWhy != "" {
		fmt.Fprintf(w, "heap: %s\n", escape(o.HeapWhy))
	}
	for _, a := range o.Heap {
		if !a.Known {
			fmt.Fprintf(w, "heap: %s at %#x, its use is not known\n", escape(a.Kind), a.Addr)
			continue
		}
		grown := ""
		if a.Grown != 0 {
			sign, n := "+", a.Grown
			if n < 0 {
				sign, n = "−", -n
			}
			grown = fmt.Sprintf(" (%s%s)", sign, size(uint64(n)))
		}
		fmt.Fprintf(w, "heap: %s %s of %s used%s, largest free block %s\n", escape(a.Kind), size(a.Used), size(a.Total), grown, size(a.Largest))
	}
	fmt.Fprintf(w, "trace: %s\n", escape(o.Trace.Text()))
}

func idleThread(t BusyThread) bool { return idle(t.Thread.Thread) }

// overviewJSON is docs/json.md's.
type overviewJSON struct {
	Time     time.Time     `json:"time"`
	Interval int64         `json:"interval_ns"`
	Threads  []busyJSON    `json:"threads"`
	Top      []topRow      `json:"top"`
	Samples  int64         `json:"samples"`
	Why      string        `json:"unsampled,omitempty"`
	Heap     []heapUseJSON `json:"heap"`
	Trace    traceRateJSON `json:"trace"`
	Stopped  int64         `json:"stopped_ns"`
	Stops    int           `json:"stops"`
	Exits    int           `json:"vcpu_exits"`
	Status   string        `json:"status,omitempty"`
}

type busyJSON struct {
	ID      int     `json:"id"`
	Name    string  `json:"name"`
	State   string  `json:"state"`
	Doing   string  `json:"doing"`
	Share   float64 `json:"cpu"`
	Counted bool    `json:"counted"`
}

type heapUseJSON struct {
	Kind    string  `json:"kind"`
	Address string  `json:"address"`
	Used    *uint64 `json:"used"`
	Total   *uint64 `json:"total"`
	Grown   int64   `json:"grown"`
}

type traceRateJSON struct {
	Records uint64            `json:"records"`
	Rate    float64           `json:"per_second"`
	Full    bool              `json:"full"`
	Names   map[string]uint64 `json:"names"`
	Why     string            `json:"why,omitempty"`
}

// WriteOverviewJSON writes an overview as one line: docs/json.md.
func WriteOverviewJSON(w io.Writer, o *Overview) error {
	out := overviewJSON{
		Time: o.Taken, Interval: o.Interval.Nanoseconds(), Threads: []busyJSON{}, Top: []topRow{}, Heap: []heapUseJSON{},
		Trace:   traceRateJSON{Records: o.Trace.Records, Rate: o.Trace.Rate, Full: o.Trace.Full, Names: map[string]uint64{}, Why: o.Trace.Why},
		Stopped: o.Pause.Total.Nanoseconds(), Stops: o.Pause.Stops, Exits: o.Pause.Exits, Status: o.Status, Why: o.Unsampled,
	}
	for _, t := range o.Threads {
		out.Threads = append(out.Threads, busyJSON{t.ID, t.Name, t.State.String(), t.Doing(), t.Share, t.Counted})
	}
	if o.Profile != nil {
		out.Samples, _ = o.Profile.Total()
		out.Top = top(o.Profile, shownFunctions)
	}
	for _, a := range o.Heap {
		h := heapUseJSON{Kind: a.Kind, Address: fmt.Sprintf("%#x", a.Addr), Grown: a.Grown}
		if a.Known {
			h.Used, h.Total = &a.Used, &a.Total
		}
		out.Heap = append(out.Heap, h)
	}
	for _, n := range o.Trace.Names {
		out.Trace.Names[n.Name] = n.Count
	}
	return json.NewEncoder(w).Encode(out)
}
