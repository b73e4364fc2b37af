package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

func newTraceTop(e env) *cobra.Command {
	var flags traceFlags
	var rows, times int
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top TARGET|FILE...",
		Short: "Show what takes most of the time",
		Long: `top shows the operations by the time spent in themselves, not in others inside, and
the longest single ones. With --every a live guest's buffer is looked at again and
again; what it shows is what is in the buffer then.`,
		Args: someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for i := 0; ; i++ {
				if err := traceTop(cmd.Context(), e, &flags, args, rows); err != nil {
					return err
				}
				if every == 0 || times > 0 && i+1 >= times {
					return nil
				}
				select {
				case <-cmd.Context().Done():
					return errors.New("interrupted")
				case <-time.After(every):
				}
				fmt.Fprintln(e.out)
			}
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().IntVar(&rows, "rows", 10, "show so many of each")
	cmd.Flags().DurationVar(&every, "every", 0, "look again after this time")
	cmd.Flags().IntVar(&times, "times", 0, "with --every: how often, 0 until ^C")
	return cmd
}

func traceTop(ctx context.Context, e env, flags *traceFlags, args []string, rows int) error {
	sum := analysis.NewSummary()
	longest := &analysis.Longest{Limit: max(rows, 0)}
	v := analysis.Visitor{Span: func(s *analysis.Seen, sp *tracebuf.Span) error {
		return errors.Join(sum.Interval(s, &sp.Interval), longest.Span(s, sp))
	}}
	return flags.analyse(ctx, e, args, v, func(t *traces, totals *analysis.Totals) error {
		list := sum.Rows()
		analysis.SortBySelf(list)
		var all uint64
		for _, r := range list {
			all += r.Self
		}
		out := &table{columns: []column{
			{key: "name", head: "NAME", left: true}, {key: "self_ns", head: "SELF"}, {key: "self_share", head: "%"}, {key: "waited_ns", head: "WAITED"},
			{key: "count", head: "COUNT"}, {key: "errors", head: "ERR"}, {key: "p50_ns", head: "p50"}, {key: "p99_ns", head: "p99"},
		}}
		for _, r := range list[:min(rows, len(list))] {
			part := float64(r.Self) / float64(max(all, 1))
			var half, most cell
			if r.Time.Count() > 0 {
				half, most = nanos(r.Time.Quantile(0.5)), nanos(r.Time.Quantile(0.99))
			}
			out.add(r.Name, nanos(r.Self), shown{part, fmt.Sprintf("%.1f", 100*part)}, nanos(r.Waited), r.Count, r.Errors, half, most)
		}
		if err := out.write(e, flags.form); err != nil || flags.form != "table" {
			return err
		}
		fmt.Fprintln(e.out)
		for _, k := range longest.Spans() {
			fmt.Fprintf(e.out, "%12s  at %.6f  %-12s %s %s\n", ukdbg.Nanoseconds(k.Duration()), float64(k.Start)/1e9, asserts.Escape(k.Thread),
				asserts.Escape(k.Name), asserts.Escape(k.Enter.Text()))
		}
		ukdbg.WriteAcrossLost(e.out, longest.AcrossLost)
		ukdbg.WriteTraceState(e.out, totals, t.snapshot)
		return nil
	})
}
