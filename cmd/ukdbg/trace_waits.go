package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// ending writes what a table leaves open: what no tracepoint tells, and the
// state of the trace.
func ending(e env, flags *traceFlags, t *traces, totals *analysis.Totals, missing func(*stream.Guest) []string) {
	if flags.form != "table" {
		return
	}
	for _, g := range totals.Guests {
		for _, m := range missing(g.Guest) {
			fmt.Fprintf(e.out, "not known: %s in %s\n", asserts.Escape(m), asserts.Escape(g.Guest.Label()))
		}
	}
	ukdbg.WriteTraceState(e.out, totals, t.snapshot)
}

func newTraceWaits(e env) *cobra.Command {
	var flags traceFlags
	cmd := &cobra.Command{
		Use:   "waits TARGET|FILE...",
		Short: "Show each thread's time off the processor and its wake-up latency",
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sched := analysis.NewSched()
			v := analysis.Visitor{
				Record: sched.Record,
				Gap:    func(g *stream.Guest, _ *recording.Lost) error { sched.Gap(g); return nil },
			}
			return flags.analyse(cmd.Context(), e, args, v, func(t *traces, totals *analysis.Totals) error {
				out := &table{columns: []column{
					{key: "guest"}, {key: "thread", head: "THREAD", left: true}, {key: "running_ns", head: "RUNNING"}, {key: "off_ns", head: "OFF CPU"},
					{key: "off_share", head: "OFF %"}, {key: "switches", head: "SWITCHES"}, {key: "off_p50_ns", head: "OFF p50"},
					{key: "off_p99_ns", head: "p99"}, {key: "off_max_ns", head: "MAX"}, {key: "wakeups", head: "WAKE-UPS"},
					{key: "latency_p50_ns", head: "LATENCY p50"}, {key: "latency_p99_ns", head: "p99"}, {key: "latency_max_ns", head: "MAX"},
				}}
				for _, th := range sched.Threads() {
					addThread(out, th)
				}
				if err := out.write(e, flags.form); err != nil {
					return err
				}
				ending(e, &flags, t, totals, sched.Missing)
				return nil
			})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	return cmd
}

func addThread(t *table, th *analysis.ThreadTime) {
	var share cell
	if all := th.Running + th.Off; all > 0 {
		pct := 100 * float64(th.Off) / float64(all)
		share = shown{pct / 100, fmt.Sprintf("%.1f", pct)}
	}
	row := []cell{th.Guest.Label(), th.Name, nanos(th.Running), nanos(th.Off), share, th.Switches, nil, nil, nil, th.Latency.Count(), nil, nil, nil}
	if h := &th.OffCPU; h.Count() > 0 {
		row[6], row[7], row[8] = nanos(h.Quantile(0.5)), nanos(h.Quantile(0.99)), nanos(h.Max())
	}
	if h := &th.Latency; h.Count() > 0 {
		row[10], row[11], row[12] = nanos(h.Quantile(0.5)), nanos(h.Quantile(0.99)), nanos(h.Max())
	}
	t.add(row...)
}

func newTraceLocks(e env) *cobra.Command {
	var flags traceFlags
	cmd := &cobra.Command{
		Use:   "locks TARGET|FILE...",
		Short: "Show how long locks are waited for and held",
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			locks := analysis.NewLocks()
			v := analysis.Visitor{
				Span: locks.Span, Record: locks.Record,
				Gap: func(g *stream.Guest, _ *recording.Lost) error { locks.Gap(g); return nil },
			}
			return flags.analyse(cmd.Context(), e, args, v, func(t *traces, totals *analysis.Totals) error {
				out := &table{columns: []column{
					{key: "guest"}, {key: "kind", head: "LOCK", left: true}, {key: "address", head: "ADDRESS", left: true}, {key: "taken", head: "TAKEN"},
					{key: "contended", head: "CONTENDED"}, {key: "wait_total_ns", head: "WAITED"}, {key: "wait_p99_ns", head: "p99"},
					{key: "wait_max_ns", head: "MAX"}, {key: "hold_total_ns", head: "HELD"}, {key: "hold_p99_ns", head: "p99"},
					{key: "hold_max_ns", head: "MAX"}, {key: "waiters", head: "WHO WAITED MOST", left: true},
				}}
				for _, l := range locks.Locks() {
					row := []cell{
						l.Guest.Label(), strings.TrimSuffix(l.Kind, "_lock"), fmt.Sprintf("%#x", l.Addr), l.Wait.Count(), l.Contended,
						nanos(l.Wait.Sum()), nanos(l.Wait.Quantile(0.99)), nanos(l.Wait.Max()), nil, nil, nil, waiters(l),
					}
					if h := &l.Hold; h.Count() > 0 {
						row[8], row[9], row[10] = nanos(h.Sum()), nanos(h.Quantile(0.99)), nanos(h.Max())
					}
					out.add(row...)
				}
				if err := out.write(e, flags.form); err != nil {
					return err
				}
				if flags.form == "table" {
					ukdbg.WriteAcrossLost(e.out, locks.AcrossLost)
				}
				ending(e, &flags, t, totals, locks.Missing)
				return nil
			})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	return cmd
}

// waiters names the three threads that waited longest.
func waiters(l *analysis.Lock) string {
	names := slices.SortedFunc(maps.Keys(l.Waiters), func(a, b string) int {
		switch {
		case l.Waiters[a] > l.Waiters[b]:
			return -1
		case l.Waiters[a] < l.Waiters[b]:
			return 1
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, n := range names[:min(3, len(names))] {
		if n != "" && l.Waiters[n] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", n, ukdbg.Nanoseconds(l.Waiters[n])))
		}
	}
	return strings.Join(parts, ", ")
}

func newTraceAllocs(e env) *cobra.Command {
	var flags traceFlags
	var top int
	cmd := &cobra.Command{
		Use:   "allocs TARGET|FILE...",
		Short: "Balance allocations against frees, by size and call chain",
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			allocs := analysis.NewAllocs()
			return flags.analyse(cmd.Context(), e, args, analysis.Visitor{Span: allocs.Span, Record: allocs.Record}, func(t *traces, totals *analysis.Totals) error {
				out := &table{columns: []column{
					{key: "size", head: "SIZE"}, {key: "allocated", head: "ALLOCATED"}, {key: "freed", head: "FREED"}, {key: "failed", head: "FAILED"},
					{key: "live", head: "LIVE"}, {key: "live_bytes", head: "BYTES"}, {key: "oldest_ns", head: "OLDEST"},
				}}
				for _, c := range allocs.Sizes() {
					var oldest cell
					if c.Live > 0 {
						oldest = nanos(c.Oldest)
					}
					out.add(c.Size, c.Allocated, c.Freed, c.Failed, c.Live, c.Live*c.Size, oldest)
				}
				if err := out.write(e, flags.form); err != nil || flags.form != "table" {
					return err
				}
				chains := allocs.Chains()
				for i, c := range chains[:min(top, len(chains))] {
					fmt.Fprintf(e.out, "%d. %d bytes live in %d allocations from", i+1, c.Bytes, c.Live)
					for _, f := range c.Frames {
						fmt.Fprintf(e.out, " %#x", f)
					}
					fmt.Fprintln(e.out)
				}
				if allocs.Unknown > 0 {
					fmt.Fprintf(e.out, "%d frees of what was allocated before the trace or unseen\n", allocs.Unknown)
				}
				if allocs.Dropped > 0 {
					fmt.Fprintf(e.out, "%d allocations were too many to follow\n", allocs.Dropped)
				}
				ending(e, &flags, t, totals, allocs.Missing)
				return nil
			})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().IntVar(&top, "chains", 10, "show so many call chains, where records have backtraces")
	return cmd
}
