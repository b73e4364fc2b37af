package otlp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math"
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

// The JSON form says all that the protobuf form does, as the collector reads them.
func TestJSONSaysWhatProtobufSays(t *testing.T) {
	every := exporters.Span{
		ID: 3, Parent: 2, Root: 2, Name: "read \"quoted\" \\ \n\t\x7f <&> é\u2028\xff", Start: 5, End: 9, Err: true, ErrText: "bad\x00",
		Thread: exporters.Thread{ID: -7, Name: "w", Known: true}, Function: "f", File: "f.c", Line: 12,
		Attrs: []exporters.Attr{
			exporters.String("empty", ""), exporters.Int("least", math.MinInt64), exporters.Uint("most", math.MaxUint64),
			exporters.Bool("yes", true), exporters.Bool("no", false), exporters.Pointer("at", 0xffff800000001000),
		},
		Events: []exporters.Event{{Name: "e", Time: 6, Attrs: []exporters.Attr{exporters.Int("zero", 0)}}, {Name: "", Time: 0}},
	}
	for name, spans := range map[string]iter.Seq2[exporters.Span, error]{
		"everything": exporters.Of(every), "requests": requests(300), "nothing": exporters.Of(exporters.Span{ID: 1}),
	} {
		var pb, js bytes.Buffer
		for form, w := range map[otlp.Form]*bytes.Buffer{otlp.Protobuf: &pb, otlp.JSONLines: &js} {
			if _, err := otlp.Write(w, form, spans, options(t)); err != nil {
				t.Fatal(err)
			}
		}
		var fromProto ptrace.ProtoUnmarshaler
		var fromJSON ptrace.JSONUnmarshaler
		want, err := fromProto.UnmarshalTraces(pb.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, err := fromJSON.UnmarshalTraces(js.Bytes())
		if err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, js.Bytes())
		}
		var m ptrace.ProtoMarshaler
		w, _ := m.MarshalTraces(want)
		g, _ := m.MarshalTraces(got)
		if !bytes.Equal(g, w) {
			var j ptrace.JSONMarshaler
			text, _ := j.MarshalTraces(want)
			t.Errorf("%s:\n got %s\nwant %s", name, js.Bytes(), text)
		}
		if !json.Valid(js.Bytes()) {
			t.Errorf("%s: encoding/json does not take it", name)
		}
	}
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
	if !errors.Is(err, broken) || stats.Spans != 5 {
		t.Errorf("stats %+v, error %v", stats, err)
	}
	if _, err := otlp.Write(&bytes.Buffer{}, otlp.JSONLines, exporters.Of(exporters.Span{Name: "x"}), options(t)); err == nil {
		t.Error("a span without an ID was accepted")
	}
}

// A request of very many spans becomes several traces, none longer than allowed,
// each linked to the first; identifiers stay the same from run to run.
func TestLongRequestIsCut(t *testing.T) {
	const n, most = 2500, 1000
	spans := func(yield func(exporters.Span, error) bool) {
		for i := range n {
			if !yield(exporters.Span{ID: uint64(i + 2), Parent: 1, Root: 1, Name: "read", Start: int64(i), End: int64(i + 1)}, nil) {
				return
			}
		}
		yield(exporters.Span{ID: 1, Root: 1, Name: "request", Start: 0, End: n}, nil)
	}
	opt := options(t)
	opt.MaxTrace = most
	read := func() []collectortest.Span {
		var buf bytes.Buffer
		if _, err := otlp.Write(&buf, otlp.Protobuf, spans, opt); err != nil {
			t.Fatal(err)
		}
		var u ptrace.ProtoUnmarshaler
		td, err := u.UnmarshalTraces(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return flatten(td)
	}
	got := read()
	sizes := map[string]int{}
	first := otlp.TraceID(instance, 1).String()
	for i, s := range got {
		id := s.TraceID().String()
		sizes[id]++
		part, parted := s.Attributes().Get(otlp.PartKey)
		if cut := id != first; cut != parted || cut != (s.Links().Len() == 1) || cut && (part.Int() != int64(i/most) ||
			s.Links().At(0).TraceID().String() != first || s.Links().At(0).SpanID().String() != otlp.SpanID(instance, 1).String()) {
			t.Fatalf("span %d is in trace %s, part %v", i, id, parted)
		}
	}
	if len(got) != n+1 || len(sizes) != 3 || sizes[first] != most+1 || got[n].TraceID().String() != first {
		t.Errorf("%d spans in traces of %v", len(got), sizes)
	}
	for i, s := range read() {
		if s.TraceID() != got[i].TraceID() {
			t.Fatalf("span %d has another trace the second time", i)
		}
	}
}
