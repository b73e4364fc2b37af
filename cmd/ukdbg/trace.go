package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newTrace(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Read the guest's trace buffer",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("no verb \"trace %s\"", args[0])}
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newTraceList(e), newTraceSummary(e), newTraceExport(e))
	return cmd
}

// readTrace reads the buffer and gives the guest back: what follows, a slow
// receiver or reader among it, must not keep it stopped.
func readTrace(ctx context.Context, s *ukdbg.Session) (*ukdbg.Trace, error) {
	t, err := s.Trace(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.Leave(ctx)
	return t, err
}

func newTraceList(e env) *cobra.Command {
	var flags targetFlags
	var last int
	cmd := &cobra.Command{
		Use:   "list TARGET -e NAME.dbg",
		Short: "List the records of the trace buffer",
		Args:  exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				t, err := readTrace(ctx, s)
				if err != nil {
					return err
				}
				if flags.json {
					return traceJSON(e, t, last)
				}
				ukdbg.WriteTrace(e.out, t, last)
				return nil
			})
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().IntVar(&last, "last", 0, "only the last N records, 0 for all")
	return cmd
}

func newTraceSummary(e env) *cobra.Command {
	var flags targetFlags
	cmd := &cobra.Command{
		Use:   "summary TARGET -e NAME.dbg",
		Short: "Count and time the operations in the trace buffer",
		Args:  exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				t, err := readTrace(ctx, s)
				if err != nil {
					return err
				}
				ukdbg.WriteTraceSummary(e.out, t)
				return nil
			})
		},
	}
	flags.add(cmd)
	return cmd
}

func newTraceExport(e env) *cobra.Command {
	var flags targetFlags
	var form, output string
	var push ukdbg.PushOptions
	cmd := &cobra.Command{
		Use:   "export TARGET -e NAME.dbg (-o FILE | --to URL)",
		Short: "Export the trace buffer's spans: OTLP, Perfetto",
		Long: `export pairs the records of the trace buffer to spans and writes them to a file
(--format otlp, otlp-json, perfetto or chrome), or sends them to an OpenTelemetry
receiver: --to grpc://HOST:4317 or http://HOST:4318.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (output == "") == (push.URL == "") {
				return usageError{errors.New("give either -o FILE or --to URL")}
			}
			return once(cmd.Context(), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				t, err := readTrace(ctx, s)
				if err != nil {
					return err
				}
				if push.URL != "" {
					st, err := s.PushSpans(ctx, t, push)
					fmt.Fprintf(e.err, "%d spans sent in %d batches, %d accepted, %d rejected\n", st.Spans, st.Batches, st.Accepted, st.Rejected)
					return err
				}
				return writeTo(e, output, func(w io.Writer) error { return s.WriteSpans(w, t, form) })
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&form, "format", "otlp", "otlp, otlp-json, perfetto or chrome")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write, - for stdout")
	cmd.Flags().StringVar(&push.URL, "to", "", "the receiver: grpc://HOST:PORT or http://HOST:PORT")
	cmd.Flags().StringToStringVar(&push.Headers, "header", nil, "NAME=VALUE to send along")
	cmd.Flags().StringVar(&push.Service, "service", "", "service.name, by default the image's name")
	return cmd
}

// writeTo writes a file completely, or leaves none behind. "-" is stdout.
func writeTo(e env, path string, f func(io.Writer) error) error {
	if path == "-" {
		return f(e.out)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f(file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// recordJSON is one trace record: docs/json.md.
type recordJSON struct {
	TimeNS uint64 `json:"time_ns"`
	Name   string `json:"name"`
	Text   string `json:"text"`
	Args   []any  `json:"args"`
	Thread string `json:"thread,omitempty"`
	Error  string `json:"error,omitempty"`
	Offset uint64 `json:"offset"`
}

func traceJSON(e env, t *ukdbg.Trace, last int) error {
	enc := json.NewEncoder(e.out)
	enc.SetEscapeHTML(false)
	return t.Each(last, func(r ukdbg.TraceRecord) error {
		return enc.Encode(recordJSON{TimeNS: r.Time, Name: r.Name, Text: r.Text, Args: r.Args, Thread: r.Thread, Error: r.Problem, Offset: r.Offset})
	})
}
