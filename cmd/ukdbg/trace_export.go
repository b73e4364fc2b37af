package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newTraceExport(e env) *cobra.Command {
	var flags traceFlags
	var form, output string
	var push ukdbg.PushOptions
	var secure tlsFlags
	cmd := &cobra.Command{
		Use:   "export TARGET|FILE... (-o FILE | --to URL)",
		Short: "Export the trace: OTLP, Perfetto, CTF, CSV, Parquet, HTML, pprof, folded stacks",
		Long: `export pairs the records to spans and writes them to a file, or sends them to an
OpenTelemetry receiver: --to grpc://HOST:4317 or http://HOST:4318, grpcs:// or
https:// with TLS. With --spool what a receiver that is away does not take is kept
in a folder and sent first the next time.

` + exportFormsHelp(),
		Args: someArgs("a TARGET or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if (output == "") == (push.URL == "") {
				return usageError{errors.New("give either -o FILE or --to URL")}
			}
			f, err := ukdbg.FindExportForm(form, output)
			if err != nil {
				return err
			}
			if push.TLS, err = secure.config(); err != nil {
				return err
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
			// Of a long recording little is kept, which is not worth five times the
			// memory that main lets the heap grow to.
			debug.SetGCPercent(100)
			x := &ukdbg.Export{Open: t.sources, Query: *q, Service: push.Service}
			if push.URL != "" {
				st, err := x.Push(ctx, push)
				fmt.Fprint(e.err, ukdbg.PushedText(st, "span"))
				if ctx.Err() != nil {
					return interrupted(err)
				}
				return err
			}
			if f.Folder && output != "-" {
				return x.WriteFolder(output, f)
			}
			return writeTo(e, output, func(w io.Writer) error { return x.Write(w, f) })
		},
	}
	flags.addInput(cmd)
	flags.addQuery(cmd)
	cmd.Flags().StringVar(&form, "format", "", "one of the formats above; by default what the file's name ends in")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write, - for stdout")
	addPush(cmd, &push, "the receiver: grpc://HOST:PORT or http://HOST:PORT")
	secure.add(cmd)
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
