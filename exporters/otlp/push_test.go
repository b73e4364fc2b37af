package otlp_test

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/collectortest"
)

const (
	instance = "7f1c2b1e-6f7a-4a4e-9f3b-111213141516/2"
	boot     = int64(1_700_000_000_000_000_000)
)

func options(t testing.TB) otlp.Options {
	t.Helper()
	clock, err := exporters.NewClock(
		exporters.Segment{From: 0, Offset: boot, Uncertainty: 40_000},
		exporters.Segment{From: 5_000_000, Offset: boot + 60_000_000_000, Uncertainty: 90_000}, // paused for a minute
	)
	if err != nil {
		t.Fatal(err)
	}
	return otlp.Options{
		Resource: otlp.Resource{ServiceName: "shop", InstanceID: instance, HostArch: "amd64", OSName: "unikraft",
			Attrs: []exporters.Attr{exporters.String("ukdbg.image", "shop.dbg")}},
		Clock: clock, Version: "0.1.0",
	}
}

// requests yields n spans in trees of three: a request with two reads of which
// the second fails.
func requests(n int) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for i := range n {
			id := uint64(i + 1)
			root := id - uint64(i%3)
			begin := int64(root) * 1000
			s := exporters.Span{
				ID: id, Name: "request", Start: begin, End: begin + 900,
				Thread: exporters.Thread{ID: int64(root % 4), Name: fmt.Sprintf("worker-%d", root%4), Known: true},
				Attrs:  []exporters.Attr{exporters.Uint("len", 512), exporters.Pointer("buf", 0x7f00_1000), exporters.Int("fd", -1)},
			}
			if i%3 > 0 {
				s.Name, s.Parent, s.Root = "vfs_read", root, root
				s.Start, s.End = begin+int64(i%3)*300, begin+int64(i%3)*300+200
			}
			if i%3 == 2 {
				s.Err, s.ErrType, s.ErrText = true, "EIO", "read failed: 5"
				s.Function, s.File, s.Line = "disk_read", "disk.c", 41
				s.Events = []exporters.Event{{Name: "retry", Time: s.Start + 10, Attrs: []exporters.Attr{exporters.Bool("last", true)}}}
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// TestEverySpanReachesACollector sends spans to a real collector, over each
// protocol, and reads back every one.
func TestEverySpanReachesACollector(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			// The first two exports are refused as an overloaded collector does.
			c := collectortest.Run(t, collectortest.Options{Refuse: 2})
			url := map[string]string{"grpc": "grpc://" + c.GRPC, "http": "http://" + c.HTTP}[scheme]
			const n = 10_000
			stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url, Gzip: scheme == "http"}, requests(n), options(t), delivery.PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if stats.Items != n || stats.Accepted != n || stats.Rejected != 0 || stats.Failed != 0 || stats.Batches != 3 || stats.Retries != 2 {
				t.Errorf("stats %+v, want %d spans accepted in 3 batches after 2 retries", stats, n)
			}
			got, err := c.Spans()
			if err != nil {
				t.Fatal(err)
			}
			checkSpans(t, got, n)
		})
	}
}

func checkSpans(t *testing.T, got []collectortest.Span, n int) {
	t.Helper()
	bySpan := map[pcommon.SpanID]collectortest.Span{}
	for _, s := range got {
		bySpan[s.SpanID()] = s
	}
	if len(got) != n || len(bySpan) != n {
		t.Fatalf("%d spans with %d ids came back, want %d", len(got), len(bySpan), n)
	}
	for want := range requests(n) {
		s, ok := bySpan[pcommon.SpanID(otlp.SpanID(instance, want.ID))]
		if !ok {
			t.Fatalf("span %d did not come back", want.ID)
		}
		root := want.Root
		if root == 0 {
			root = want.ID
		}
		if s.TraceID() != pcommon.TraceID(otlp.TraceID(instance, root)) || s.Name() != want.Name || s.Kind() != ptrace.SpanKindInternal {
			t.Fatalf("span %d came back as %q of trace %v, kind %v", want.ID, s.Name(), s.TraceID(), s.Kind())
		}
		parent := pcommon.SpanID{}
		if want.Parent != 0 {
			parent = pcommon.SpanID(otlp.SpanID(instance, want.Parent))
		}
		if s.ParentSpanID() != parent {
			t.Fatalf("span %d has parent %v, want %v", want.ID, s.ParentSpanID(), parent)
		}
		offset, uncertain := boot, int64(40_000)
		if want.End >= 5_000_000 {
			uncertain = 90_000
		}
		if want.Start >= 5_000_000 {
			offset += 60_000_000_000
		}
		if int64(s.StartTimestamp()) != want.Start+offset {
			t.Fatalf("span %d starts at %d, want %d", want.ID, s.StartTimestamp(), want.Start+offset)
		}
		expect := map[string]any{
			"thread.id": want.Thread.ID, "thread.name": want.Thread.Name, otlp.UncertaintyKey: uncertain,
			"len": int64(512), "buf": "0x7f001000", "fd": int64(-1),
		}
		if want.Err {
			expect["error.type"], expect["code.function.name"], expect["code.file.path"], expect["code.line.number"] = "EIO", "disk_read", "disk.c", int64(41)
		}
		if raw := s.Attributes().AsRaw(); fmt.Sprint(raw) != fmt.Sprint(expect) {
			t.Fatalf("span %d attributes\n got %v\nwant %v", want.ID, raw, expect)
		}
		if failed := s.Status().Code() == ptrace.StatusCodeError; failed != want.Err || s.Status().Message() != want.ErrText {
			t.Fatalf("span %d status %v %q", want.ID, s.Status().Code(), s.Status().Message())
		}
		if s.Events().Len() != len(want.Events) {
			t.Fatalf("span %d has %d events", want.ID, s.Events().Len())
		}
	}
	res := got[0].Resource.Attributes().AsRaw()
	for k, v := range map[string]string{"service.name": "shop", "service.instance.id": instance, "host.arch": "amd64", "os.name": "unikraft", "ukdbg.image": "shop.dbg"} {
		if res[k] != v {
			t.Errorf("resource %s is %v, want %q", k, res[k], v)
		}
	}
	if sc := got[0].Scope; sc.Name() != otlp.ScopeName || sc.Version() != "0.1.0" {
		t.Errorf("scope %s %s", sc.Name(), sc.Version())
	}
}

// TestSameTraceSameIDs: an export that is repeated, even by a later ukdbg, makes
// no new spans. The values were computed with another SHA-256.
func TestSameTraceSameIDs(t *testing.T) {
	if got := otlp.SpanID(instance, 7).String(); got != "e0e6ee8ea0cb6e0f" {
		t.Errorf("span id %s", got)
	}
	if got := otlp.TraceID(instance, 7).String(); got != "01ad2be13e6dd39a33169ed2904820f2" {
		t.Errorf("trace id %s", got)
	}
	if otlp.SpanID(instance, 7) == otlp.SpanID(instance+"'", 7) || otlp.TraceID(instance, 7) == otlp.TraceID(instance, 8) {
		t.Error("identifiers of different spans are the same")
	}
}

func TestNobodyListens(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		ep := transport.Endpoint{URL: scheme + "://127.0.0.1:1"}
		stats, err := otlp.Push(t.Context(), ep, requests(10), options(t), delivery.PushOptions{Patience: -1})
		if err == nil || stats.Failed != 10 || stats.Accepted != 0 || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: stats %+v, error %v", scheme, stats, err)
		}
	}
}

// TestWrongProtocolIsFinal: asking the wrong port is told, and not tried for ever.
func TestWrongProtocolIsFinal(t *testing.T) {
	c := collectortest.Run(t, collectortest.Options{})
	for url, want := range map[string]string{
		"http://" + c.GRPC:                 "try grpc://",
		"grpc://" + c.HTTP:                 "try http://",
		"https://" + c.HTTP:                "server gave HTTP response",
		"grpcs://" + c.GRPC:                "TLS handshake",
		"http://" + c.HTTP + "/v1/nothing": "404 Not Found",
	} {
		stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(1), options(t), delivery.PushOptions{})
		var d *delivery.Error
		// A server of the other protocol hangs up. Whether its answer or the end
		// of the link is seen first is luck, and a broken link is tried again.
		most := 1
		if strings.HasPrefix(want, "try ") {
			most = 20
		}
		if !errors.As(err, &d) || d.Attempts > most || stats.Failed != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: stats %+v, error %v, want at most %d attempts and %q", url, stats, err, most, want)
		}
	}
}

func TestBadEndpoints(t *testing.T) {
	for _, url := range []string{"", "localhost:4317", "ftp://x", "grpc://h:1/path", "http://", "grpc://user:secret@h:1/x"} {
		_, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(1), options(t), delivery.PushOptions{})
		if err == nil || !strings.Contains(err.Error(), "want grpc://") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v", url, err)
		}
	}
}

func BenchmarkPushGRPC(b *testing.B) {
	c := collectortest.Run(b, collectortest.Options{})
	const n = 20_000
	opt := options(b)
	for b.Loop() {
		if _, err := otlp.Push(b.Context(), transport.Endpoint{URL: "grpc://" + c.GRPC}, requests(n), opt, delivery.PushOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}

func BenchmarkWriteProtobuf(b *testing.B) {
	const n = 20_000
	opt := options(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := otlp.Write(io.Discard, otlp.Protobuf, requests(n), opt); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}
