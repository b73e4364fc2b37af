package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
)

func newThreads(e env) *cobra.Command {
	var flags targetFlags
	var stacks bool
	cmd := &cobra.Command{
		Use:   "threads TARGET -e NAME.dbg",
		Short: "List the guest's scheduler threads",
		Args:  exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				return threads(ctx, e, &flags, s, stacks)
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().BoolVar(&stacks, "stacks", false, "show each thread's stack")
	return cmd
}

// threadJSON is one thread: docs/json.md.
type threadJSON struct {
	ID         int         `json:"id"`
	Name       string      `json:"name"`
	Address    string      `json:"address"`
	State      string      `json:"state"`
	Wait       string      `json:"wait,omitempty"`
	CPU        *int        `json:"cpu,omitempty"`
	ExecTimeNS *uint64     `json:"exec_time_ns,omitempty"`
	ToGoNS     *uint64     `json:"to_go_ns,omitempty"`
	Frames     []frameJSON `json:"frames"`
	Error      string      `json:"error,omitempty"`
	Notes      []string    `json:"notes,omitempty"`
}

type frameJSON struct {
	Level    int    `json:"level"`
	PC       string `json:"pc"`
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Inline   bool   `json:"inline,omitempty"`
	FoundBy  string `json:"found_by"`
}

func threads(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session, stacks bool) error {
	list, err := s.Threads(ctx)
	if err != nil {
		return err
	}
	if flags.json {
		out := struct {
			Target  string       `json:"target"`
			Image   string       `json:"image,omitempty"`
			Threads []threadJSON `json:"threads"`
			Note    string       `json:"note,omitempty"`
			Torn    string       `json:"torn,omitempty"`
		}{Target: s.Spec().String(), Image: flags.image, Threads: []threadJSON{}}
		if why := s.NoKernel(); why != "" {
			out.Note = "only the processors are listed, no threads: " + why
		}
		for _, t := range list {
			out.Threads = append(out.Threads, threadOf(ctx, s, t))
		}
		out.Torn = s.Torn()
		return printJSON(e, out)
	}
	if why := s.NoKernel(); why != "" {
		fmt.Fprintf(e.err, "ukdbg: only the processors are listed, no threads: %s\n", why)
	}
	current, err := s.CurrentThread(ctx, s.StopCPU())
	if err != nil {
		return err
	}
	if torn := s.Torn(); torn != "" {
		fmt.Fprintf(e.err, "ukdbg: %s\n", torn)
	}
	repl.WriteThreads(e.out, repl.ThreadRows(ctx, s, list), current.ID)
	if !stacks {
		return nil
	}
	for _, t := range list {
		fmt.Fprintf(e.out, "\nThread %d (%s):\n", t.ID, repl.Printable(t.Name))
		frames, err := s.Backtrace(ctx, t)
		for _, f := range frames {
			fmt.Fprintln(e.out, repl.Printable(f.String()))
		}
		if err != nil {
			fmt.Fprintln(e.out, repl.Printable(err.Error()))
		}
	}
	return nil
}

func threadOf(ctx context.Context, s *ukdbg.Session, t ukdbg.Thread) threadJSON {
	frames, err := s.Backtrace(ctx, t)
	t = s.Explain(t, frames)
	j := threadJSON{
		ID: t.ID, Name: t.Name, Address: fmt.Sprintf("%#x", t.Addr), State: t.State.String(), Wait: t.Wait,
		ExecTimeNS: t.ExecTime, ToGoNS: t.ToGo, Frames: framesOf(frames), Notes: t.Notes,
	}
	if t.CPU >= 0 {
		cpu := int(t.CPU)
		j.CPU = &cpu
	}
	if err != nil {
		j.Error = err.Error()
	}
	return j
}

func framesOf(frames []ukdbg.Frame) []frameJSON {
	out := []frameJSON{}
	for _, f := range frames {
		out = append(out, frameJSON{
			Level: f.Level, PC: fmt.Sprintf("%#x", f.PC), Function: f.Loc.Function,
			File: f.Loc.File, Line: f.Loc.Line, Inline: f.Inline, FoundBy: f.Found,
		})
	}
	return out
}
