package otlp

import (
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// Field numbers of opentelemetry/proto/trace/v1/trace.proto.
const (
	spanTraceID    = 1
	spanSpanID     = 2
	spanParentID   = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanEvents     = 11
	spanLinks      = 13
	spanStatus     = 15
	kindInternal   = 1

	eventTime       = 1
	eventName       = 2
	eventAttributes = 3
	linkTraceID     = 1
	linkSpanID      = 2
	statusMessage2  = 2
	statusCode      = 3
	statusError     = 2
)

// encoder makes export requests of spans, in protobuf.
type encoder struct {
	envelope
	ids    ids
	clock  exporters.Clock
	traces traces

	one  []byte // a span
	part []byte // an event

	// The trace of the span before: most often it is this one's, too.
	root    uint64
	traceID TraceIdentifier
}

func newEncoder(opt Options) *encoder {
	e := &encoder{envelope: newEnvelope(opt, ScopeName), ids: newIDs(opt.Resource.InstanceID), clock: opt.Clock, traces: traces{most: opt.MaxTrace}}
	if e.traces.most <= 0 {
		e.traces.most = DefaultMaxTrace
	}
	return e
}

// span encodes a span; the bytes are valid until the next one.
func (e *encoder) span(s *exporters.Span) []byte {
	root := s.Root
	if root == 0 {
		root = s.ID
	}
	if root != e.root {
		e.root, e.traceID = root, e.ids.trace(root)
	}
	part := e.traces.part(s.ID, root)
	id := e.ids.span(s.ID)
	b := e.one[:0]
	if part == 0 {
		b = wire.AppendBytes(b, spanTraceID, e.traceID[:])
	} else {
		t := e.ids.part(root, part)
		b = wire.AppendBytes(b, spanTraceID, t[:])
	}
	b = wire.AppendBytes(b, spanSpanID, id[:])
	if s.Parent != 0 {
		parent := e.ids.span(s.Parent)
		b = wire.AppendBytes(b, spanParentID, parent[:])
	}
	b = wire.AppendString(b, spanName, s.Name)
	b = wire.AppendVarint(b, spanKind, kindInternal)

	start, before := e.clock.Unix(s.Start)
	end, after := e.clock.Unix(s.End)
	b = wire.AppendFixed64(b, spanStart, timestamp(start))
	// A segment's offset is only known so well: an operation across two of them
	// must not end before it starts.
	b = wire.AppendFixed64(b, spanEnd, timestamp(max(start, end)))

	if part > 0 {
		b = appendInt(b, spanAttributes, PartKey, int64(part))
	}
	if !e.clock.IsZero() {
		b = appendInt(b, spanAttributes, UncertaintyKey, max(before, after))
	}
	if s.Thread.Known {
		b = appendInt(b, spanAttributes, keyThreadID, s.Thread.ID)
		if s.Thread.Name != "" {
			b = appendString(b, spanAttributes, keyThreadName, s.Thread.Name)
		}
	}
	if s.CPU.Known {
		b = appendInt(b, spanAttributes, keyCPU, int64(s.CPU.ID))
	}
	if s.Function != "" {
		b = appendString(b, spanAttributes, keyFunction, s.Function)
	}
	if s.File != "" {
		b = appendString(b, spanAttributes, keyFile, s.File)
	}
	if s.Line > 0 {
		b = appendInt(b, spanAttributes, keyLine, int64(s.Line))
	}
	b = appendAttrs(b, spanAttributes, s.Attrs)
	if s.Err {
		class := s.ErrType
		if class == "" {
			class = errorTypeOther
		}
		b = appendString(b, spanAttributes, keyErrorType, class)
	}
	for i := range s.Events {
		b = wire.AppendBytes(b, spanEvents, e.event(&s.Events[i]))
	}
	if part > 0 {
		first := e.ids.span(root)
		link := wire.AppendBytes(e.part[:0], linkTraceID, e.traceID[:])
		link = wire.AppendBytes(link, linkSpanID, first[:])
		b = wire.AppendBytes(b, spanLinks, link)
		e.part = link
	}
	if s.Err {
		status := wire.AppendString(e.part[:0], statusMessage2, s.ErrText)
		status = wire.AppendVarint(status, statusCode, statusError)
		b = wire.AppendBytes(b, spanStatus, status)
		e.part = status
	}
	e.one = b
	return b
}

func (e *encoder) event(ev *exporters.Event) []byte {
	at, _ := e.clock.Unix(ev.Time)
	b := wire.AppendFixed64(e.part[:0], eventTime, timestamp(at))
	b = wire.AppendString(b, eventName, ev.Name)
	b = appendAttrs(b, eventAttributes, ev.Attrs)
	e.part = b
	return b
}

// timestamp clamps a time before 1970, which OTLP cannot say.
func timestamp(ns int64) uint64 { return uint64(max(ns, 0)) }
