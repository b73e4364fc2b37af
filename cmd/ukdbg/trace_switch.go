package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
)

// switchJSON is a tracepoint's switch: docs/json.md.
type switchJSON struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	Frames  int    `json:"frames"`
	Format  string `json:"format"`
}

// switchesJSON is the answer of trace points.
type switchesJSON struct {
	On     bool         `json:"on"`
	Points []switchJSON `json:"points"`
}

func newTracePoints(e env) *cobra.Command {
	var flags targetFlags
	cmd := &cobra.Command{
		Use:   "points TARGET -e NAME.dbg",
		Short: "List the tracepoints of a guest with uktrace and their switches",
		Args:  exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := noSwitches(args[0]); err != nil {
				return err
			}
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				points, on, err := s.TracePoints(ctx)
				if err != nil {
					return err
				}
				return writePoints(e, flags.json, points, on)
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	return cmd
}

// noSwitches refuses what is no guest: the switches lie in a guest's memory.
func noSwitches(name string) error {
	if !ukdbg.IsTraceFile(name) {
		return nil
	}
	return usageError{fmt.Errorf("%s is a file of traces, the switches of tracepoints are a guest's; ukdbg trace info --points tells which tracepoints a file has", name)}
}

func newTraceEnable(e env) *cobra.Command {
	cmd := newTraceSwitch(e, true, "enable TARGET NAME... -e NAME.dbg")
	cmd.Short = "Switch tracepoints of a guest with uktrace on"
	cmd.Long = `enable lets tracepoints record; NAME may have * and ?. --frames N records N return
addresses with each record. The guest keeps the switches until they are set again.`
	return cmd
}

func newTraceDisable(e env) *cobra.Command {
	cmd := newTraceSwitch(e, false, "disable TARGET NAME... -e NAME.dbg")
	cmd.Short = "Switch tracepoints of a guest with uktrace off"
	return cmd
}

func newTraceSwitch(e env, on bool, use string) *cobra.Command {
	var flags targetFlags
	frames := -1
	cmd := &cobra.Command{
		Use: use,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("want a TARGET and at least one NAME")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := noSwitches(args[0]); err != nil {
				return err
			}
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				points, err := s.SwitchTracePoints(ctx, args[1:], on, frames)
				if err != nil {
					return err
				}
				return writePoints(e, flags.json, points, true)
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	if on {
		cmd.Flags().IntVar(&frames, "frames", -1, "how many return addresses each record gets, at most 16")
	}
	return cmd
}

func writePoints(e env, asJSON bool, points []ukdbg.TracePoint, on bool) error {
	if asJSON {
		out := switchesJSON{On: on, Points: []switchJSON{}}
		for _, p := range points {
			out.Points = append(out.Points, switchJSON(p))
		}
		return printJSON(e, out)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "NAME\tSTATE\tBACKTRACE\tFORMAT\n")
	for _, p := range points {
		state, frames := "off", "-"
		if p.Enabled {
			state = "on"
		}
		if p.Frames > 0 {
			frames = fmt.Sprint(p.Frames)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", asserts.Escape(p.Name), state, frames, asserts.Escape(p.Format))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !on {
		fmt.Fprintln(e.out, "tracing is switched off as a whole")
	}
	return nil
}
