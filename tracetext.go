package ukdbg

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/listing"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// WriteTrace lists the last n records, 0 for all, for people.
func WriteTrace(w io.Writer, t *Trace, n int) {
	l := listing.New(w, listing.Options{})
	tail := &listing.Tail{Lister: l, N: n}
	totals, err := new(analysis.Query).Run([]stream.Source{t.Source()}, analysis.Visitor{Record: tail.Record, Bad: tail.Record})
	if err == nil {
		err = tail.Flush()
	}
	// An error of the writer is sticky and the writer's owner's to see.
	if err == nil {
		WriteTraceState(w, totals, t)
	}
}

// WriteTraceSummary counts and times the operations by name.
func WriteTraceSummary(w io.Writer, t *Trace) {
	sum := analysis.NewSummary()
	totals, err := new(analysis.Query).Run([]stream.Source{t.Source()}, sum.Visitor())
	if err != nil {
		return
	}
	WriteSummaryTable(w, sum.Rows(), totals)
	WriteTraceState(w, totals, t)
}

// WriteSummaryTable writes a summary for people.
func WriteSummaryTable(w io.Writer, rows []*analysis.Row, totals *analysis.Totals) {
	var seconds float64
	for _, g := range totals.Guests {
		seconds = max(seconds, float64(g.Covered())/1e9)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "NAME\tCOUNT\t/s\tERR\tMIN\tp50\tp90\tp99\tp99.9\tMAX\tTOTAL\t\n")
	var left uint64
	for _, r := range rows {
		left += r.AcrossLost
		rate := "-"
		if seconds > 0 {
			rate = fmt.Sprintf("%.0f", float64(r.Count)/seconds)
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t", escape(r.Name), r.Count, rate)
		if r.Instant || r.Time.Count() == 0 {
			fmt.Fprint(tw, "-\t-\t-\t-\t-\t-\t-\t-\t\n")
			continue
		}
		fmt.Fprintf(tw, "%d\t%s\t", r.Errors, Nanoseconds(r.Time.Min()))
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
			fmt.Fprintf(tw, "%s\t", Nanoseconds(r.Time.Quantile(q)))
		}
		fmt.Fprintf(tw, "%s\t%s\t\n", Nanoseconds(r.Time.Max()), Nanoseconds(r.Time.Sum()))
	}
	if tw.Flush() != nil {
		return // the writer's owner sees it
	}
	writeUnmatched(w, totals.Unmatched)
	WriteAcrossLost(w, left)
}

// WriteAcrossLost tells how many spans are in no time because records were lost
// between their begin and their end; nothing for none.
func WriteAcrossLost(w io.Writer, n uint64) {
	if n > 0 {
		fmt.Fprintf(w, "%s across lost records left out of the times\n", plural(int(n), "span"))
	}
}

// WriteTraceState tells how many records there are and what is lost. t is the
// snapshot they are from, nil for a file.
func WriteTraceState(w io.Writer, totals *analysis.Totals, t *Trace) {
	var span, last uint64
	for _, g := range totals.Guests {
		span, last = max(span, g.Span()), max(last, g.Last)
	}
	fmt.Fprintf(w, "%d records in %.3f s", totals.Records, float64(span)/1e9)
	if len(totals.Guests) > 1 {
		fmt.Fprintf(w, " of %d guests", len(totals.Guests))
	}
	if t != nil {
		info := t.Snapshot.Info
		fmt.Fprintf(w, " · buffer %d of %d bytes", info.Used, info.Size)
		if info.Full {
			fmt.Fprintf(w, " · FULL: nothing since %.6f s is recorded", float64(last)/1e9)
		}
		if info.Overrun {
			fmt.Fprint(w, " · OVERRUN: the guest wrote past the end")
		}
		if info.Torn {
			fmt.Fprint(w, " · torn: the guest recorded meanwhile")
		}
	} else {
		fmt.Fprint(w, " · ", lostText(totals))
	}
	if totals.Bad > 0 {
		fmt.Fprintf(w, " · %d bad stretches, %d bytes skipped", totals.Bad, totals.Skipped)
	}
	if totals.Half > 0 {
		fmt.Fprint(w, " · the last record is half-written")
	}
	if totals.Ambiguous > 0 {
		fmt.Fprintf(w, " · %d of %d spans ambiguous", totals.Ambiguous, totals.Spans)
	}
	if totals.Backwards > 0 {
		fmt.Fprintf(w, " · %d records out of order", totals.Backwards)
	}
	if totals.Damaged > 0 {
		fmt.Fprintf(w, " · %d damaged parts of the file, %d bytes", totals.Damaged, totals.DamagedBytes)
		if totals.Cut {
			fmt.Fprint(w, ", the last one at its end")
		}
	}
	if t != nil && t.Slide != 0 {
		fmt.Fprintf(w, " · slide %#x", t.Slide)
	}
	fmt.Fprintln(w)
	writeStops(w, totals)
}

func lostText(t *analysis.Totals) string {
	if t.LostPeriods == 0 {
		return "0 lost"
	}
	text := fmt.Sprintf("%d lost periods, %s without records", t.LostPeriods, Nanoseconds(t.Lost))
	if t.LostRecords > 0 {
		text += fmt.Sprintf(", %d records lost", t.LostRecords)
	}
	return text
}

// writeStops tells for how long the guests stood still for their recording.
func writeStops(w io.Writer, totals *analysis.Totals) {
	for _, g := range totals.Guests {
		if end := g.Guest.End; end != nil && end.Drains > 0 {
			fmt.Fprintf(w, "%s stopped %s in %d drains, the longest %s\n", escape(g.Guest.Label()),
				Nanoseconds(uint64(max(end.Stopped, 0))), end.Drains, Nanoseconds(uint64(max(end.Longest, 0))))
		}
	}
}

// writeUnmatched tells the records that begin or end something whose other half
// is not in the trace, by name.
func writeUnmatched(w io.Writer, alone map[string]int) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(alone)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", escape(name), alone[name]))
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "without their other half: %s\n", strings.Join(parts, ", "))
	}
}

// Nanoseconds writes a duration for people, with three digits.
func Nanoseconds(ns uint64) string {
	switch {
	case ns >= 1e9:
		return fmt.Sprintf("%.2f s", float64(ns)/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	}
	return fmt.Sprintf("%d ns", ns)
}

// arguments decodes a record's arguments: int64, uint64 or string.
func arguments(rec *tracebuf.Record) []any {
	out := make([]any, 0, len(rec.Def.Args))
	for i, a := range rec.Def.Args {
		switch {
		case a.Type == tracebuf.ArgString:
			out = append(out, rec.String(i))
		case rec.Signed(i):
			out = append(out, rec.Int(i))
		default:
			out = append(out, rec.Uint(i))
		}
	}
	return out
}
