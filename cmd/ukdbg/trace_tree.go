package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
)

func newTraceTree(e env) *cobra.Command {
	var flags traceFlags
	var byThread bool
	var least float64
	cmd := &cobra.Command{
		Use:   "tree TARGET|FILE...",
		Short: "Show where the time went, as a call tree",
		Args:  someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree := &analysis.Tree{ByThread: byThread}
			return flags.analyse(cmd.Context(), e, args, analysis.Visitor{Interval: tree.Interval},
				func(t *traces, totals *analysis.Totals) error {
					root := tree.Root()
					if flags.form != "table" {
						out := &table{columns: []column{
							{key: "path"}, {key: "count"}, {key: "errors"}, {key: "ambiguous"}, {key: "total_ns"}, {key: "self_ns"}, {key: "waited_ns"},
						}}
						flatten(out, root, "")
						return out.write(e, flags.form)
					}
					fmt.Fprintf(e.out, "%9s %6s %9s %9s %8s  \n", "TOTAL", "", "SELF", "WAITED", "COUNT")
					drawTree(e, root, "", root.Total, least/100)
					ukdbg.WriteTraceState(e.out, totals, t.snapshot)
					return nil
				})
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	flags.addForm(cmd)
	cmd.Flags().BoolVar(&byThread, "by-thread", false, "threads at the top")
	cmd.Flags().Float64Var(&least, "least", 0.5, "leave out what has less than this percentage of the time")
	return cmd
}

func flatten(t *table, n *analysis.Node, path string) {
	for _, c := range n.Children {
		p := path + "/" + c.Name
		t.add(p, c.Count, c.Errors, c.Ambiguous, c.Total, c.Self, c.Waited)
		flatten(t, c, p)
	}
}

func drawTree(e env, n *analysis.Node, indent string, all uint64, least float64) {
	var kept []*analysis.Node
	var hidden uint64
	for _, c := range n.Children {
		if float64(c.Total) >= least*float64(all) {
			kept = append(kept, c)
		} else {
			hidden += c.Total
		}
	}
	for i, c := range kept {
		branch, below := "├─ ", "│  "
		if i == len(kept)-1 && hidden == 0 {
			branch, below = "└─ ", "   "
		}
		if indent == "" && n.Name == "" {
			branch, below = "", " "
		}
		name := asserts.Escape(c.Name)
		if c.Errors > 0 {
			name += fmt.Sprintf("  ✗%d", c.Errors)
		}
		if c.Ambiguous > 0 {
			name += fmt.Sprintf("  ?%d", c.Ambiguous)
		}
		fmt.Fprintf(e.out, "%9s %5.1f%% %9s %9s %8d  %s%s%s\n", ukdbg.Nanoseconds(c.Total), 100*float64(c.Total)/float64(max(all, 1)),
			ukdbg.Nanoseconds(c.Self), ukdbg.Nanoseconds(c.Waited), c.Count, indent, branch, name)
		drawTree(e, c, indent+below, all, least)
	}
	if hidden > 0 {
		fmt.Fprintf(e.out, "%9s %5.1f%% %28s  %s%s\n", ukdbg.Nanoseconds(hidden), 100*float64(hidden)/float64(max(all, 1)), "", indent,
			strings.TrimSpace("└─ (less)"))
	}
}
