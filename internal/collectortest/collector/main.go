// Command collector is a small OpenTelemetry collector: the collector project's
// own otlpreceiver over gRPC and HTTP, and a file for each signal (traces.jsonl,
// logs.jsonl, metrics.jsonl, profiles.jsonl) it appends every export to as one line
// of OTLP JSON.
//
// It is a module of its own so that the receiver's dependencies stay out of
// ukdbg's. Package collectortest builds and runs it for tests and for the demo.
//
// Usage: collector -out FOLDER [-refuse N] [-grpc ADDR -http ADDR]. Once both receivers listen, on ports
// of 127.0.0.1 the kernel chose if none are given, it prints one line of JSON on stdout:
//
//	{"grpc":"127.0.0.1:41001","http":"127.0.0.1:41002"}
//
// It ends when its standard input is closed or on SIGTERM. -refuse N answers
// the first N exports with a retryable error, as an overloaded collector does.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("collector", flag.ContinueOnError)
	out := flags.String("out", "", "`folder` of the files that every export is appended to, one line of OTLP JSON each")
	refuse := flags.Int64("refuse", 0, "answer the first `N` exports with a retryable error")
	var want addresses
	flags.StringVar(&want.GRPC, "grpc", "", "`address` of the gRPC receiver, to start again where it was")
	flags.StringVar(&want.HTTP, "http", "", "`address` of the HTTP receiver")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("no -out FOLDER given")
	}
	k := &keeper{}
	k.refuse.Store(*refuse)
	for s, name := range files {
		f, err := os.OpenFile(filepath.Join(*out, name), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := cutTornLine(f); err != nil {
			return err
		}
		k.f[s] = f
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		// The one who started us holds the other end; when it dies, so do we.
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()

	rcv, addrs, err := listen(ctx, k, want)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(addrs); err != nil {
		return err
	}
	<-ctx.Done()
	return rcv.stop(context.Background())
}

// cutTornLine removes a last line without its end, which was being written when
// an earlier collector was killed, and so was not acknowledged.
func cutTornLine(f *os.File) error {
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return f.Truncate(int64(bytes.LastIndexByte(data, '\n') + 1))
}

// addresses is what is printed once the receivers listen.
type addresses struct {
	GRPC string `json:"grpc"`
	HTTP string `json:"http"`
}

// host is what a receiver may ask of the process it runs in: here, nothing.
type host struct{}

func (host) GetExtensions() map[component.ID]component.Component { return nil }

// listen starts the receivers. The receiver does not tell which port it got for
// port 0, so free ports are looked up first; when another process takes one in
// between, the next pair is tried.
func listen(ctx context.Context, k *keeper, want addresses) (receivers, addresses, error) {
	const attempts = 10
	var last error
	for range attempts {
		grpc, http, err := want.GRPC, want.HTTP, error(nil)
		if grpc == "" || http == "" {
			grpc, http, err = freePorts()
		}
		if err != nil {
			return nil, addresses{}, err
		}
		factory := otlpreceiver.NewFactory()
		cfg := factory.CreateDefaultConfig().(*otlpreceiver.Config)
		cfg.Protocols.GRPC.GetOrInsertDefault().NetAddr.Endpoint = grpc
		cfg.Protocols.HTTP.GetOrInsertDefault().ServerConfig.NetAddr.Endpoint = http
		set := receiver.Settings{
			ID: component.NewID(factory.Type()),
			TelemetrySettings: component.TelemetrySettings{
				Logger:         zap.NewNop(),
				TracerProvider: nooptrace.NewTracerProvider(),
				MeterProvider:  noopmetric.NewMeterProvider(),
				Resource:       pcommon.NewResource(),
			},
		}
		rcv, err := k.receivers(ctx, factory, set, cfg)
		if err != nil {
			return nil, addresses{}, err
		}
		if last = rcv.start(ctx); last == nil {
			return rcv, addresses{GRPC: grpc, HTTP: http}, nil
		}
		_ = rcv.stop(ctx) // half started; the error that counts is last
		if !errors.Is(last, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, addresses{}, last
}

// freePorts returns two addresses of 127.0.0.1 nobody listens on.
func freePorts() (a, b string, err error) {
	la, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer la.Close()
	lb, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer lb.Close()
	return la.Addr().String(), lb.Addr().String(), nil
}
