package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

func newTraceSpans(e env) *cobra.Command {
	var flags traceFlags
	var byDuration, failed bool
	var limit int
	cmd := &cobra.Command{
		Use:   "spans TARGET|FILE...",
		Short: "Pair begins with ends: what took how long",
		Long: `spans pairs each record X with its X_ret or X_err and prints the pairs in the order
of their ends, or with --longest the longest first. Pairs nest by thread where the
records tell threads; where they do not, a pair that may be wrong is marked "?".`,
		Args: someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceSpans(cmd.Context(), e, &flags, args, byDuration, failed, limit)
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().BoolVar(&byDuration, "longest", false, "the longest first")
	cmd.Flags().BoolVar(&failed, "errors", false, "only those that ended by X_err")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most N; 0 for all, with --longest 20")
	return cmd
}

// maxLongest bounds how many spans are kept to sort them.
const maxLongest = 1 << 20

// spanBatch is how many spans are laid out together in a table.
const spanBatch = 1000

func traceSpans(ctx context.Context, e env, flags *traceFlags, args []string, byDuration, failed bool, limit int) error {
	if limit < 0 || byDuration && limit > maxLongest {
		return usageError{fmt.Errorf("--limit %d: want 0 to %d", limit, maxLongest)}
	}
	several := len(args) > 1
	out := spanTable(several)
	n := 0
	longest := &analysis.Longest{Limit: limit}
	if byDuration && limit == 0 {
		longest.Limit = 20
	}
	visit := func(s *analysis.Seen, sp *tracebuf.Span) error {
		if failed && !sp.Failed {
			return nil
		}
		if byDuration {
			return longest.Span(s, sp)
		}
		if limit > 0 && n == limit {
			return errEnough
		}
		n++
		k := analysis.Keep(s, sp)
		addSpan(out, &k)
		if len(out.rows) < spanBatch || flags.form == "csv" {
			return nil
		}
		err := out.write(e, flags.form)
		out.rows = out.rows[:0]
		return err
	}
	err := flags.analyse(ctx, e, args, analysis.Visitor{Span: visit}, func(t *traces, totals *analysis.Totals) error {
		for _, k := range longest.Spans() {
			addSpan(out, &k)
		}
		if err := out.write(e, flags.form); err != nil || flags.form != "table" {
			return err
		}
		ukdbg.WriteAcrossLost(e.out, longest.AcrossLost)
		ukdbg.WriteTraceState(e.out, totals, t.snapshot)
		return nil
	})
	if errors.Is(err, errEnough) {
		return out.write(e, flags.form)
	}
	return err
}

// errEnough ends a reading because nothing more is wanted.
var errEnough = errors.New("enough")

func spanTable(several bool) *table {
	guest := column{key: "guest"}
	if several {
		guest.head, guest.left = "GUEST", true
	}
	return &table{columns: []column{
		guest, {key: "start_ns", head: "START"}, {key: "unix_ns"}, {key: "duration_ns", head: "TOOK"}, {key: "self_ns"}, {key: "waited_ns", head: "WAITED"},
		{key: "thread", head: "THREAD", left: true}, {key: "name", head: "NAME", left: true}, {key: "failed"}, {key: "ambiguous"},
		{key: "enter", head: "BEGIN", left: true}, {key: "leave", head: "END", left: true}, {key: "id"}, {key: "parent"}, {key: "across_lost"},
	}}
}

func addSpan(t *table, k *analysis.Kept) {
	var unix, waited, parent cell
	if k.Unix != 0 {
		unix = k.Unix
	}
	if k.Waited > 0 {
		waited = nanos(k.Waited)
	}
	if k.Parent != 0 {
		parent = k.Parent
	}
	name := k.Name
	switch {
	case k.Ambiguous && k.Failed:
		name += " ✗?"
	case k.Ambiguous:
		name += " ?"
	case k.Failed:
		name += " ✗"
	}
	t.add(k.Guest.Label(), shown{k.Start, fmt.Sprintf("%.6f", float64(k.Start)/1e9)}, unix, nanos(k.Duration()), k.Self(), waited,
		k.Thread, shown{k.Name, name}, k.Failed, k.Ambiguous, k.Enter.Text(), k.Leave.Text(), k.ID, parent, k.AcrossLost)
}
