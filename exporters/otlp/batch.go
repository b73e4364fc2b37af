package otlp

import (
	"fmt"
	"iter"
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/ukdbg/ukdbg/exporters"
)

// MaxBatch is the most spans in one export.
const MaxBatch = 4096

// maxBatchBytes bounds an export's size before encoding. gRPC receivers accept
// 4 MiB by default.
const maxBatchBytes = 3 << 20

// spanOverhead is about what a span takes beside its strings, in bytes.
const spanOverhead = 160

// ScopeName is the instrumentation scope of the spans.
const ScopeName = "github.com/ukdbg/ukdbg/tracebuf"

// UncertaintyKey is the attribute that says how far a span's times may be wrong
// either way, in nanoseconds.
const UncertaintyKey = "ukdbg.clock.uncertainty_ns"

// Options say how spans are written.
type Options struct {
	Resource Resource
	// Clock maps the spans' times to Unix time.
	Clock exporters.Clock
	// Version is ukdbg's version, the scope's.
	Version string
	// Batch is the number of spans in one export, MaxBatch if 0.
	Batch int
	// MaxTrace is the most spans of one trace, DefaultMaxTrace if 0. What a
	// request has beyond goes into further traces, which are linked to the first
	// and say so in the attribute PartKey.
	MaxTrace int
}

// DefaultMaxTrace keeps a trace below the 5 MB at which Tempo cuts it.
const DefaultMaxTrace = 10_000

// PartKey is the attribute that numbers the further traces of one request.
const PartKey = "ukdbg.trace.part"

// batches calls send with one encoder-ready batch after another. Memory is
// bounded by one batch.
func batches(spans iter.Seq2[exporters.Span, error], opt Options, send func(td ptrace.Traces, n int) error) error {
	limit := opt.Batch
	if limit <= 0 || limit > MaxBatch {
		limit = MaxBatch
	}
	b := builder{ids: newIDs(opt.Resource.InstanceID), clock: opt.Clock, traces: traces{most: opt.MaxTrace}}
	if b.traces.most <= 0 {
		b.traces.most = DefaultMaxTrace
	}
	for s, err := range spans {
		if err != nil {
			if serr := b.flush(send); serr != nil {
				return serr
			}
			return fmt.Errorf("reading spans to export: %w", err)
		}
		size := weigh(&s)
		if b.n > 0 && (b.n == limit || b.bytes+size > maxBatchBytes) {
			if err := b.flush(send); err != nil {
				return err
			}
		}
		if b.n == 0 {
			b.begin(opt)
		}
		b.bytes += size
		if err := b.add(&s); err != nil {
			return err
		}
	}
	return b.flush(send)
}

// weigh estimates the encoded size of a span in bytes.
func weigh(s *exporters.Span) int {
	attrs := func(as []exporters.Attr) int {
		n := 0
		for _, a := range as {
			n += len(a.Key) + len(a.Str) + 24
		}
		return n
	}
	n := spanOverhead + len(s.Name) + len(s.Thread.Name) + len(s.ErrText) + len(s.ErrType) +
		len(s.Function) + len(s.File) + attrs(s.Attrs)
	for _, e := range s.Events {
		n += 24 + len(e.Name) + attrs(e.Attrs)
	}
	return n
}

// builder collects one batch.
type builder struct {
	ids    ids
	clock  exporters.Clock
	traces traces

	td    ptrace.Traces
	spans ptrace.SpanSlice
	n     int
	bytes int
}

func (b *builder) begin(opt Options) {
	b.td = ptrace.NewTraces()
	rs := b.td.ResourceSpans().AppendEmpty()
	rs.SetSchemaUrl(semconv.SchemaURL)
	opt.Resource.put(rs.Resource().Attributes())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.SetSchemaUrl(semconv.SchemaURL)
	ss.Scope().SetName(ScopeName)
	ss.Scope().SetVersion(opt.Version)
	b.spans = ss.Spans()
}

func (b *builder) flush(send func(td ptrace.Traces, n int) error) error {
	if b.n == 0 {
		return nil
	}
	td, n := b.td, b.n
	b.td, b.n, b.bytes = ptrace.Traces{}, 0, 0
	return send(td, n)
}

func (b *builder) add(s *exporters.Span) error {
	if s.ID == 0 {
		return fmt.Errorf("span %q has no ID; identifiers are derived from it", s.Name)
	}
	b.n++
	p := b.spans.AppendEmpty()
	root := s.Root
	if root == 0 {
		root = s.ID
	}
	part := b.traces.part(s.ID, root)
	p.SetTraceID(pcommon.TraceID(b.ids.trace(root)))
	if part > 0 {
		p.SetTraceID(pcommon.TraceID(b.ids.part(root, part)))
		p.Attributes().PutInt(PartKey, int64(part))
		link := p.Links().AppendEmpty()
		link.SetTraceID(pcommon.TraceID(b.ids.trace(root)))
		link.SetSpanID(pcommon.SpanID(b.ids.span(root)))
	}
	p.SetSpanID(pcommon.SpanID(b.ids.span(s.ID)))
	if s.Parent != 0 {
		p.SetParentSpanID(pcommon.SpanID(b.ids.span(s.Parent)))
	}
	p.SetName(valid(s.Name))
	p.SetKind(ptrace.SpanKindInternal)

	start, before := b.clock.Unix(s.Start)
	end, after := b.clock.Unix(s.End)
	p.SetStartTimestamp(timestamp(start))
	// A segment's offset is only known so well: an operation across two of them
	// must not end before it starts.
	p.SetEndTimestamp(timestamp(max(start, end)))

	m := p.Attributes()
	if !b.clock.IsZero() {
		m.PutInt(UncertaintyKey, max(before, after))
	}
	if s.Thread.Known {
		m.PutInt(string(semconv.ThreadIDKey), s.Thread.ID)
		if s.Thread.Name != "" {
			m.PutStr(string(semconv.ThreadNameKey), valid(s.Thread.Name))
		}
	}
	if s.Function != "" {
		m.PutStr(string(semconv.CodeFunctionNameKey), valid(s.Function))
	}
	if s.File != "" {
		m.PutStr(string(semconv.CodeFilePathKey), valid(s.File))
	}
	if s.Line > 0 {
		m.PutInt(string(semconv.CodeLineNumberKey), int64(s.Line))
	}
	putAttrs(m, s.Attrs)
	if s.Err {
		p.Status().SetCode(ptrace.StatusCodeError)
		p.Status().SetMessage(valid(s.ErrText))
		class := s.ErrType
		if class == "" {
			class = semconv.ErrorTypeOther.Value.AsString()
		}
		m.PutStr(string(semconv.ErrorTypeKey), valid(class))
	}
	for i := range s.Events {
		e := p.Events().AppendEmpty()
		at, _ := b.clock.Unix(s.Events[i].Time)
		e.SetName(valid(s.Events[i].Name))
		e.SetTimestamp(timestamp(at))
		putAttrs(e.Attributes(), s.Events[i].Attrs)
	}
	return nil
}

// timestamp clamps a time before 1970, which OTLP cannot say.
func timestamp(ns int64) pcommon.Timestamp { return pcommon.Timestamp(max(ns, 0)) }

// valid replaces what is no UTF-8: guest bytes may be anything, protobuf
// strings may not.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func putAttrs(m pcommon.Map, attrs []exporters.Attr) {
	for _, a := range attrs {
		key := valid(a.Key)
		switch a.Kind {
		case exporters.KindString:
			m.PutStr(key, valid(a.Str))
		case exporters.KindInt:
			m.PutInt(key, int64(a.Num))
		case exporters.KindBool:
			m.PutBool(key, a.Num != 0)
		case exporters.KindUint:
			// OTLP integers are signed; a value beyond them goes as text
			// rather than as a wrong number.
			if a.Num <= math.MaxInt64 {
				m.PutInt(key, int64(a.Num))
			} else {
				m.PutStr(key, fmt.Sprintf("%d", a.Num))
			}
		case exporters.KindPointer:
			m.PutStr(key, fmt.Sprintf("%#x", a.Num))
		}
	}
}
