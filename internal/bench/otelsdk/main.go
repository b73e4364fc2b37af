// Command otelsdk makes OTLP bytes of spans with the OpenTelemetry Go SDK: a
// tracer, its batch processor, the OTLP exporter's transformation, protobuf. It
// is a module of its own so that ukdbg never links the SDK; internal/bench runs
// it beside internal/bench/spans, with the same spans.
//
// Usage: otelsdk N. It prints spans, bytes, and CPU seconds of the process.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = run(n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "otelsdk:", err)
		os.Exit(1)
	}
}

// counter takes what the exporter would send.
type counter struct{ spans, bytes atomic.Int64 }

func (*counter) Start(context.Context) error { return nil }
func (*counter) Stop(context.Context) error  { return nil }
func (c *counter) UploadTraces(_ context.Context, rs []*tracepb.ResourceSpans) error {
	data, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: rs})
	for _, r := range rs {
		for _, s := range r.ScopeSpans {
			c.spans.Add(int64(len(s.Spans)))
		}
	}
	c.bytes.Add(int64(len(data)))
	return err
}

func run(n int) error {
	ctx := context.Background()
	c := &counter{}
	exporter, err := otlptrace.New(ctx, c)
	if err != nil {
		return err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBlocking(), sdktrace.WithMaxExportBatchSize(4096), sdktrace.WithMaxQueueSize(16384)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("service.instance.id", "bench"), attribute.String("host.arch", "amd64"))))
	tracer := provider.Tracer("github.com/ukdbg/ukdbg/tracebuf")
	before := cpu()
	base := time.Unix(1_700_000_000, 0)
	var paths [100]string
	for i := range paths {
		paths[i] = "/archive/" + strconv.Itoa(i) + ".txt"
	}
	threads := [4]string{"worker-0", "worker-1", "worker-2", "worker-3"}
	for i := 0; i < n; i += 3 {
		at := func(j int) time.Time { return base.Add(time.Duration(i+j) * time.Microsecond) }
		attrs := func(j int) trace.SpanStartEventOption {
			k := i + j
			return trace.WithAttributes(attribute.Int64("ukdbg.clock.uncertainty_ns", 1000), attribute.Int("thread.id", k%4), attribute.String("thread.name", threads[k%4]),
				attribute.Int("fd", k%64), attribute.Int("len", 512), attribute.String("path", paths[k%100]))
		}
		rctx, root := tracer.Start(ctx, "request_serve", trace.WithTimestamp(at(2)), attrs(2))
		for j := range 2 {
			_, s := tracer.Start(rctx, "vfs_read", trace.WithTimestamp(at(j)), attrs(j))
			s.End(trace.WithTimestamp(at(j).Add(800)))
		}
		if (i+2)%15 == 14 {
			root.SetStatus(codes.Error, "error=-22")
			root.SetAttributes(attribute.String("error.type", "request_serve_err"))
		}
		root.End(trace.WithTimestamp(at(2).Add(800)))
	}
	if err := provider.Shutdown(ctx); err != nil {
		return err
	}
	_, err = fmt.Printf("%d %d %.3f\n", c.spans.Load(), c.bytes.Load(), cpu()-before)
	return err
}

// cpu is the seconds of processor time this process took so far.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
