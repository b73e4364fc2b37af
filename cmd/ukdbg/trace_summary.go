package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/hist"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

func newTraceSummary(e env) *cobra.Command {
	var flags traceFlags
	cmd := &cobra.Command{
		Use:   "summary TARGET|FILE...",
		Short: "Count and time the operations by name",
		Long: `summary counts the operations and gives their rate, errors and durations: least,
percentiles, most and total. Percentiles are known to 1.6 %.`,
		Args: someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sum := analysis.NewSummary()
			return flags.analyse(cmd.Context(), e, args, sum.Visitor(),
				func(t *traces, totals *analysis.Totals) error {
					if flags.form == "table" {
						ukdbg.WriteSummaryTable(e.out, sum.Rows(), totals)
						ukdbg.WriteTraceState(e.out, totals, t.snapshot)
						return nil
					}
					return summaryTable(sum.Rows(), totals).write(e, flags.form)
				})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	return cmd
}

// summaryTable is a summary for programs.
func summaryTable(rows []*analysis.Row, totals *analysis.Totals) *table {
	var span uint64
	for _, g := range totals.Guests {
		span = max(span, g.Covered())
	}
	t := &table{columns: []column{
		{key: "name"}, {key: "count"}, {key: "per_second"}, {key: "errors"}, {key: "ambiguous"}, {key: "min_ns"}, {key: "p50_ns"}, {key: "p90_ns"},
		{key: "p99_ns"}, {key: "p999_ns"}, {key: "max_ns"}, {key: "total_ns"}, {key: "self_ns"}, {key: "waited_ns"},
		{key: "across_lost"},
	}}
	for _, r := range rows {
		var rate cell
		if span > 0 {
			rate = float64(r.Count) / float64(span) * 1e9
		}
		if r.Instant {
			t.add(r.Name, r.Count, rate, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
			continue
		}
		h := &r.Time
		if h.Count() == 0 {
			t.add(r.Name, r.Count, rate, r.Errors, r.Ambiguous, nil, nil, nil, nil, nil, nil, nil, nil, nil, r.AcrossLost)
			continue
		}
		t.add(r.Name, r.Count, rate, r.Errors, r.Ambiguous, h.Min(), h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Quantile(0.999),
			h.Max(), h.Sum(), r.Self, r.Waited, r.AcrossLost)
	}
	return t
}

func newTraceHist(e env) *cobra.Command {
	var flags traceFlags
	var per int
	cmd := &cobra.Command{
		Use:   "hist TARGET|FILE...",
		Short: "Draw how long the operations took",
		Long:  `hist draws a histogram of the durations of each operation, on a logarithmic scale.`,
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sum := analysis.NewSummary()
			v := sum.Visitor()
			v.Instant, v.Instants = nil, func(*stream.Guest, int, uint64) {}
			return flags.analyse(cmd.Context(), e, args, v,
				func(t *traces, totals *analysis.Totals) error {
					if flags.form == "table" {
						var left uint64
						for _, r := range sum.Rows() {
							left += r.AcrossLost
							if r.Time.Count() > 0 {
								drawHistogram(e, r, per)
							}
						}
						ukdbg.WriteAcrossLost(e.out, left)
						ukdbg.WriteTraceState(e.out, totals, t.snapshot)
						return nil
					}
					out := &table{columns: []column{{key: "name"}, {key: "low_ns"}, {key: "high_ns"}, {key: "count"}}}
					for _, r := range sum.Rows() {
						for _, b := range r.Time.Buckets() {
							if b.Count > 0 {
								out.add(r.Name, b.Low, b.High, b.Count)
							}
						}
					}
					return out.write(e, flags.form)
				})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().IntVar(&per, "per", 2, "bars for each doubling: 1, 2, 4 … 64")
	return cmd
}

// barWidth is that of the longest bar, in characters; each has eight steps.
const barWidth = 50

var eighths = []rune(" ▏▎▍▌▋▊▉█")

func drawHistogram(e env, r *analysis.Row, per int) {
	fmt.Fprintf(e.out, "%s: %d, median %s, 99 %% below %s, longest %s\n", asserts.Escape(r.Name), r.Time.Count(),
		ukdbg.Nanoseconds(r.Time.Quantile(0.5)), ukdbg.Nanoseconds(r.Time.Quantile(0.99)), ukdbg.Nanoseconds(r.Time.Max()))
	buckets := r.Time.Coarse(per)
	var most uint64
	for _, b := range buckets {
		most = max(most, b.Count)
	}
	empty := 0
	for _, b := range buckets {
		if b.Count == 0 {
			if empty++; empty == 3 {
				fmt.Fprintln(e.out, "           …")
			}
			if empty >= 3 {
				continue
			}
		} else {
			empty = 0
		}
		fmt.Fprintf(e.out, "  from %9s  %8d %s\n", ukdbg.Nanoseconds(b.Low), b.Count, bar(b, most))
	}
	fmt.Fprintln(e.out)
}

func bar(b hist.Bucket, most uint64) string {
	steps := int(float64(b.Count) / float64(max(most, 1)) * barWidth * 8)
	if b.Count > 0 && steps == 0 {
		steps = 1
	}
	text := strings.Repeat("█", steps/8)
	if steps%8 > 0 {
		text += string(eighths[steps%8])
	}
	return text
}
