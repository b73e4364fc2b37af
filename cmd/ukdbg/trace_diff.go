package main

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

func newTraceDiff(e env) *cobra.Command {
	var flags traceFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Tell what got slower or faster from A to B",
		Long: `diff compares the durations of each operation in two traces by a Mann-Whitney U
test, and shows those whose change chance does not explain: less than 1 % over all
comparisons together. Each of A and B is a TARGET or a FILE.`,
		Args: exactArgs("a trace A", "a trace B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceDiff(cmd.Context(), e, &flags, args, all)
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "also what did not change")
	return cmd
}

func traceDiff(ctx context.Context, e env, flags *traceFlags, args []string, all bool) error {
	var sums [2]*analysis.Summary
	var span [2]uint64
	for i, arg := range args {
		sums[i] = analysis.NewSummary()
		err := flags.analyse(ctx, e, []string{arg}, sums[i].Visitor(), func(_ *traces, totals *analysis.Totals) error {
			for _, g := range totals.Guests {
				span[i] = max(span[i], g.Span())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	out := &table{columns: []column{
		{key: "name", head: "NAME", left: true}, {key: "a_count", head: "COUNT A"}, {key: "b_count", head: "B"},
		{key: "a_p50_ns", head: "p50 A"}, {key: "b_p50_ns", head: "B"}, {key: "p50_ratio", head: "B/A"},
		{key: "a_p99_ns", head: "p99 A"}, {key: "b_p99_ns", head: "B"}, {key: "slower_probability", head: "P(B>A)"}, {key: "p", head: "p"},
		{key: "significant"}, {key: "verdict", head: "VERDICT", left: true},
	}}
	same := 0
	for _, d := range analysis.Diff(sums[0], sums[1]) {
		if !d.Significant && !all && d.A != nil && d.B != nil {
			same++
			continue
		}
		addDifference(out, &d)
	}
	if err := out.write(e, flags.form); err != nil || flags.form != "table" {
		return err
	}
	fmt.Fprintf(e.out, "A %.3f s, B %.3f s", float64(span[0])/1e9, float64(span[1])/1e9)
	if same > 0 {
		fmt.Fprintf(e.out, " · %d operations without a significant change are not shown (--all)", same)
	}
	fmt.Fprintln(e.out)
	return nil
}

func addDifference(t *table, d *analysis.Difference) {
	row := make([]cell, len(t.columns))
	row[0] = d.Name
	timed := true
	for i, r := range []*analysis.Row{d.A, d.B} {
		if r == nil {
			timed = false
			continue
		}
		row[1+i] = r.Count
		if r.Time.Count() == 0 {
			timed = false
			continue
		}
		row[3+i], row[6+i] = nanos(r.Time.Quantile(0.5)), nanos(r.Time.Quantile(0.99))
	}
	verdict := "no significant change"
	if timed {
		if r := d.Ratio(); !math.IsNaN(r) {
			row[5] = r
		}
		row[8], row[9] = d.Slower, d.P
	}
	switch {
	case d.A == nil:
		verdict = "only in B"
	case d.B == nil:
		verdict = "only in A"
	case !timed:
		verdict = "counted only"
	case d.Significant && d.Slower > 0.5:
		verdict = "slower"
	case d.Significant:
		verdict = "faster"
	}
	row[10], row[11] = d.Significant, verdict
	t.add(row...)
}
