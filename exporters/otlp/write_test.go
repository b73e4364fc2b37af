package otlp_test

import (
	"bytes"
	"errors"
	"iter"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/internal/collectortest"
)

func flatten(tds ...ptrace.Traces) []collectortest.Span {
	var all []collectortest.Span
	for _, td := range tds {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					all = append(all, collectortest.Span{Resource: rs.Resource(), Scope: ss.Scope(), Span: s})
				}
			}
		}
	}
	return all
}

func TestProtobufFile(t *testing.T) {
	var buf bytes.Buffer
	const n = 9000
	stats, err := otlp.Write(&buf, otlp.Protobuf, requests(n), options(t))
	if err != nil || stats.Spans != n || stats.Batches != 3 || stats.Bytes != int64(buf.Len()) {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	var u ptrace.ProtoUnmarshaler
	td, err := u.UnmarshalTraces(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	checkSpans(t, flatten(td), n)
}

func TestJSONLinesFile(t *testing.T) {
	var buf bytes.Buffer
	const n = 9000
	if _, err := otlp.Write(&buf, otlp.JSONLines, requests(n), options(t)); err != nil {
		t.Fatal(err)
	}
	var tds []ptrace.Traces
	for line := range bytes.Lines(buf.Bytes()) {
		var u ptrace.JSONUnmarshaler
		td, err := u.UnmarshalTraces(line)
		if err != nil {
			t.Fatal(err)
		}
		tds = append(tds, td)
	}
	if len(tds) != 3 {
		t.Errorf("%d lines, want 3", len(tds))
	}
	checkSpans(t, flatten(tds...), n)
}

func TestHostileNamesAndTimes(t *testing.T) {
	var buf bytes.Buffer
	s := exporters.Span{ID: 1, Name: "read\xff\x00", Start: -5, End: -9,
		Attrs: []exporters.Attr{exporters.String("k\xfe", "\xc3\x28"), exporters.Uint("big", 1<<63)}}
	if _, err := otlp.Write(&buf, otlp.Protobuf, exporters.Of(s), otlp.Options{}); err != nil {
		t.Fatal(err)
	}
	var u ptrace.ProtoUnmarshaler
	td, err := u.UnmarshalTraces(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := flatten(td)[0]
	if got.Name() != "read\uFFFD\x00" || got.EndTimestamp() < got.StartTimestamp() {
		t.Errorf("span %q from %d to %d", got.Name(), got.StartTimestamp(), got.EndTimestamp())
	}
	if v, _ := got.Attributes().Get("big"); v.Type() != pcommon.ValueTypeStr || v.Str() != "9223372036854775808" {
		t.Errorf("an integer beyond int64 came as %v", v.AsRaw())
	}
	if v, ok := got.Resource.Attributes().Get("service.name"); !ok || v.Str() != "unknown_service:unikernel" {
		t.Errorf("service.name is %v", v.AsRaw())
	}
}

// TestBatchBytes: long attributes make smaller batches, not requests beyond
// what a receiver takes.
func TestBatchBytes(t *testing.T) {
	long := exporters.String("text", string(bytes.Repeat([]byte("x"), 8192)))
	spans := func(yield func(exporters.Span, error) bool) {
		for i := range 2000 {
			if !yield(exporters.Span{ID: uint64(i + 1), Name: "n", Attrs: []exporters.Attr{long}}, nil) {
				return
			}
		}
	}
	w := &largest{}
	if _, err := otlp.Write(w, otlp.Protobuf, spans, otlp.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.n > 4<<20 || w.n < 1<<20 {
		t.Errorf("largest batch is %d bytes", w.n)
	}
}

type largest struct{ n int }

func (w *largest) Write(p []byte) (int, error) { w.n = max(w.n, len(p)); return len(p), nil }

func TestSourceErrorComesAfterTheSpansBefore(t *testing.T) {
	broken := errors.New("torn")
	var spans iter.Seq2[exporters.Span, error] = func(yield func(exporters.Span, error) bool) {
		for s := range requests(5) {
			yield(s, nil)
		}
		yield(exporters.Span{}, broken)
	}
	stats, err := otlp.Write(&bytes.Buffer{}, otlp.JSONLines, spans, options(t))
	if !errors.Is(err, broken) || stats.Accepted != 5 {
		t.Errorf("stats %+v, error %v", stats, err)
	}
	if _, err := otlp.Write(&bytes.Buffer{}, otlp.JSONLines, exporters.Of(exporters.Span{Name: "x"}), options(t)); err == nil {
		t.Error("a span without an ID was accepted")
	}
}
