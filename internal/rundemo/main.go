// Command rundemo is what "make demo" runs: the demo, with a real OpenTelemetry
// collector at the other end, whose received spans are shown at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/ukdbg/ukdbg/internal/collectortest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: rundemo PATH-OF-UKDBG")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "rundemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, ukdbg string) (err error) {
	dir, err := os.MkdirTemp("", "ukdbg-collector-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	collector, err := collectortest.Start(ctx, collectortest.Options{Dir: dir, Log: os.Stderr})
	if err != nil {
		return fmt.Errorf("starting the OpenTelemetry collector: %w", err)
	}
	defer func() { err = errors.Join(err, collector.Close()) }()

	cmd := exec.CommandContext(ctx, ukdbg, "demo", "--collector", "grpc://"+collector.GRPC)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s demo: %w", ukdbg, err)
	}
	spans, err := collector.Spans()
	if err != nil {
		return err
	}
	if len(spans) == 0 {
		return errors.New("the collector received no span")
	}
	fmt.Printf("\n── What the collector received ──\n%d spans, the last three:\n", len(spans))
	for _, sp := range spans[max(0, len(spans)-3):] {
		fmt.Printf("  %-16s %8.1f µs  trace %s span %s\n", sp.Name(),
			float64(sp.EndTimestamp()-sp.StartTimestamp())/1e3, sp.TraceID(), sp.SpanID())
	}
	return nil
}
