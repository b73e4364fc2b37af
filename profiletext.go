package ukdbg

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/profiler"
)

// topRow is one function of a profile: samples in it, and in it or below, and what
// these stand for.
type topRow struct {
	Function  string `json:"function"`
	File      string `json:"file,omitempty"`
	Flat      int64  `json:"flat"`
	Cum       int64  `json:"cum"`
	FlatValue int64  `json:"flat_value"`
	CumValue  int64  `json:"cum_value"`
}

// top lists the n functions with most of their own.
func top(p *profiler.Profile, n int) []topRow {
	rows := []topRow{}
	all := profiler.Functions(p)
	for _, f := range all[:min(n, len(all))] {
		rows = append(rows, topRow{f.Name, f.File, f.FlatCount, f.CumCount, f.Flat, f.Cum})
	}
	return rows
}

// WriteProfile shows the n functions with most samples, of those in which a processor
// had something to do.
func WriteProfile(w io.Writer, p *profiler.Profile, n int) {
	out := bufio.NewWriter(w)
	count, total := p.Total()
	idle := ""
	if onCPU := p.Kind == profiler.CPU || p.Kind == ""; onCPU {
		if share := p.IdleShare(); share > 0 {
			idle = fmt.Sprintf(" · idle %.1f %%", 100*share)
		}
		p = p.Busy()
		_, total = p.Total()
	}
	if p.Counted() {
		total, _ = p.Total()
	}
	if p.Kind.Sampled() {
		fmt.Fprintf(out, "%d samples in %.2f s%s · guest stopped %s in %d stops (%.1f %%), longest %s\n",
			count, p.Duration.Seconds(), idle, roundDuration(p.Pause.Total), p.Pause.Stops, 100*p.Share(), roundDuration(p.Pause.Longest))
	} else {
		units, value := p.Kind.Units()
		fmt.Fprintf(out, "%d %s · %s %s\n", count, units.Name, profileValue(value, total), value.Name)
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	busy, _ := p.Total()
	switch {
	case idle != "" && busy > 0:
		fmt.Fprintf(tw, "  FLAT\tCUM\tFUNCTION (of %d samples that did not idle)\n", busy)
	case idle == "":
		fmt.Fprint(tw, "  FLAT\tCUM\tFUNCTION\n")
	}
	for _, r := range top(p, n) {
		fmt.Fprintf(tw, "%5.1f %%\t%5.1f %%\t%s\n", percent(r.FlatValue, total), percent(r.CumValue, total), escape(r.Function))
	}
	// What follows goes through the same buffered writer, whose error is sticky.
	if tw.Flush() == nil {
		for _, warning := range p.Warnings {
			fmt.Fprintf(out, "warning: %s\n", warning)
		}
	}
	if out.Flush() != nil {
		return // the writer's owner sees it
	}
}

func profileValue(u profiler.Unit, v int64) string {
	switch u.Unit {
	case "bytes":
		return size(uint64(max(v, 0)))
	case "nanoseconds":
		return roundDuration(time.Duration(v))
	}
	return fmt.Sprint(v)
}

func percent(n, total int64) float64 {
	if total == 0 {
		return 0
	}
	return 100 * float64(n) / float64(total)
}

// WriteProfileJSON writes the n functions with most samples, what the sampling cost
// and, unless it is nil, what became of sending the profile: docs/json.md.
func WriteProfileJSON(w io.Writer, p *profiler.Profile, n int, sent *delivery.Stats) error {
	type pushed struct {
		Accepted int      `json:"accepted"`
		Rejected int      `json:"rejected"`
		Failed   int      `json:"failed"`
		Replayed int      `json:"replayed"`
		Waiting  int      `json:"waiting"`
		Notes    []string `json:"notes"`
	}
	var to *pushed
	if sent != nil {
		to = &pushed{sent.Accepted, sent.Rejected, sent.Failed, sent.Replayed, sent.Waiting, append([]string{}, sent.Notes...)}
	}
	count, value := p.Total()
	_, unit := p.Kind.Units()
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Kind     profiler.Kind `json:"kind"`
		Unit     string        `json:"unit"`
		Ticks    int64         `json:"ticks"`
		Missed   int64         `json:"missed"`
		Samples  int64         `json:"samples"`
		Value    int64         `json:"value"`
		Duration int64         `json:"duration_ns"`
		Period   int64         `json:"period_ns"`
		Stopped  int64         `json:"stopped_ns"`
		Longest  int64         `json:"longest_ns"`
		Stops    int           `json:"stops"`
		Exits    int           `json:"vcpu_exits"`
		Source   string        `json:"source"`
		Idle     float64       `json:"idle"`
		Late     int64         `json:"late_ns"`
		Lost     int64         `json:"lost"`
		Outside  int64         `json:"outside"`
		Warnings []string      `json:"warnings"`
		Top      []topRow      `json:"top"`
		Pushed   *pushed       `json:"pushed,omitempty"`
	}{p.Kind, unit.Unit, int64(p.Ticks), int64(p.Missed), count, value, p.Duration.Nanoseconds(), p.Period.Nanoseconds(), p.Pause.Total.Nanoseconds(),
		p.Pause.Longest.Nanoseconds(), p.Pause.Stops, p.Pause.Exits, p.Source, p.IdleShare(), p.Late.Nanoseconds(), p.Lost, p.Outside, append([]string{}, p.Warnings...), top(p, n), to})
}

// WriteProfileDiff shows the n functions whose shares of two profiles differ most.
func WriteProfileDiff(w io.Writer, changes []profiler.Change, n int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "FLAT BEFORE\tAFTER\tCHANGE\tCUM BEFORE\tAFTER\tCHANGE\tBY CHANCE\t  FUNCTION\n")
	for _, c := range changes[:min(n, len(changes))] {
		fmt.Fprintf(tw, "%.1f %%\t%.1f %%\t%+.1f\t%.1f %%\t%.1f %%\t%+.1f\t%s\t  %s\n", 100*c.Flat[0], 100*c.Flat[1], 100*(c.Flat[1]-c.Flat[0]),
			100*c.Cum[0], 100*c.Cum[1], 100*(c.Cum[1]-c.Cum[0]), chanceText(c.P), escape(c.Name))
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
}

func chanceText(p float64) string {
	switch {
	case p < 0.0001:
		return "<0.01 %"
	case p >= 1:
		return "–"
	}
	return fmt.Sprintf("%.2g %%", 100*p)
}
