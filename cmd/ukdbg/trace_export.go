package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newTraceExport(e env) *cobra.Command {
	var flags traceFlags
	var form, output string
	var push ukdbg.PushOptions
	cmd := &cobra.Command{
		Use:   "export TARGET|FILE... (-o FILE | --to URL)",
		Short: "Export the spans: OTLP, Perfetto",
		Long: `export pairs the records to spans and writes them to a file (--format ` + ukdbg.ExportForms + `),
or sends them to an OpenTelemetry receiver: --to grpc://HOST:4317 or http://HOST:4318.`,
		Args: someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if (output == "") == (push.URL == "") {
				return usageError{errors.New("give either -o FILE or --to URL")}
			}
			q, err := flags.query()
			if err != nil {
				return err
			}
			// A receiver may keep us waiting: whoever ends that ends it orderly.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			t, err := flags.open(ctx, e, args)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, t.close()) }()
			x := &ukdbg.Export{Open: t.sources, Query: *q, Service: push.Service}
			if push.URL != "" {
				st, err := x.Push(ctx, push)
				fmt.Fprintf(e.err, "%d spans sent in %d batches, %d accepted, %d rejected\n", st.Spans, st.Batches, st.Accepted, st.Rejected)
				if ctx.Err() != nil {
					return errors.Join(errors.New("interrupted"), err)
				}
				return err
			}
			return writeTo(e, output, func(w io.Writer) error { return x.Write(w, form) })
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	cmd.Flags().StringVar(&form, "format", "otlp", ukdbg.ExportForms)
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
