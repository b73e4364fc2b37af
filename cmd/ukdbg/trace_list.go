package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/listing"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

func newTraceList(e env) *cobra.Command {
	var flags traceFlags
	var last int
	var hostTime bool
	cmd := &cobra.Command{
		Use:   "list TARGET|FILE...",
		Short: "List the records",
		Long:  `list prints the records in order. Several files are merged by the host's clock.`,
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceList(cmd.Context(), e, &flags, args, last, hostTime)
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().IntVar(&last, "last", 0, "only the last N records, 0 for all")
	cmd.Flags().BoolVar(&hostTime, "host-time", false, "show the host's time, where it is known")
	return cmd
}

var listingForms = map[string]listing.Form{"table": listing.Text, "json": listing.JSON, "csv": listing.CSV}

func traceList(ctx context.Context, e env, flags *traceFlags, args []string, last int, hostTime bool) error {
	return flags.read(ctx, e, args, func(q *analysis.Query, t *traces, sources []stream.Source) error {
		opt := listing.Options{Form: listingForms[flags.form], Guests: len(sources) > 1, HostTime: hostTime}
		tail := &listing.Tail{Lister: listing.New(e.out, opt), N: last}
		var totals *analysis.Totals
		var err error
		if plain(q) && last <= 0 && len(sources) == 1 {
			// Only the records themselves decide: many at a time.
			totals, err = tail.All(sources[0], q.Where)
		} else {
			totals, err = q.Run(sources, analysis.Visitor{Record: tail.Record, Bad: tail.Record, Gap: tail.Gap, Damage: tail.Damage})
			err = errors.Join(err, tail.Flush())
		}
		if err == nil && flags.form == "table" {
			ukdbg.WriteTraceState(e.out, totals, t.snapshot)
		}
		return err
	})
}

// plain tells whether a query looks at nothing but single records.
func plain(q *analysis.Query) bool {
	return !q.From.Set && !q.To.Set && len(q.Names) == 0 && len(q.Threads) == 0 && len(q.CPUs) == 0 && q.Sample <= 1
}
