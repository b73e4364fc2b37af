package otlp

import (
	"math"
	"strconv"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// Field numbers of opentelemetry/proto/trace/v1/trace.proto, common.proto and
// resource.proto.
const (
	dataResourceSpans = 1

	resourceSpansResource = 1
	resourceSpansScope    = 2
	resourceSpansSchema   = 3
	resourceAttributes    = 1

	scopeSpansScope  = 1
	scopeSpansSpans  = 2
	scopeSpansSchema = 3
	scopeName        = 1
	scopeVersion     = 2

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

	keyValueKey   = 1
	keyValueValue = 2
	anyString     = 1
	anyBool       = 2
	anyInt        = 3
)

// encoder makes export requests of spans, in protobuf. An
// ExportTraceServiceRequest has the same wire form as TracesData.
type encoder struct {
	ids    ids
	clock  exporters.Clock
	traces traces

	resource []byte // the fields of ResourceSpans but its spans
	scope    []byte // those of ScopeSpans
	spans    []byte // the spans of the batch, as fields of ScopeSpans
	one      []byte // a span
	part     []byte // an event
	out      []byte

	// The trace of the span before: most often it is this one's, too.
	root    uint64
	traceID TraceIdentifier
}

func newEncoder(opt Options) *encoder {
	e := &encoder{ids: newIDs(opt.Resource.InstanceID), clock: opt.Clock, traces: traces{most: opt.MaxTrace}}
	if e.traces.most <= 0 {
		e.traces.most = DefaultMaxTrace
	}
	e.resource = wire.AppendBytes(nil, resourceSpansResource, opt.Resource.Append(nil))
	e.resource = wire.AppendString(e.resource, resourceSpansSchema, schemaURL)
	scope := wire.AppendString(nil, scopeName, ScopeName)
	if opt.Version != "" {
		scope = wire.AppendString(scope, scopeVersion, opt.Version)
	}
	e.scope = wire.AppendBytes(nil, scopeSpansScope, scope)
	e.scope = wire.AppendString(e.scope, scopeSpansSchema, schemaURL)
	return e
}

// size is that of the batch's spans so far, in bytes.
func (e *encoder) size() int { return len(e.spans) }

func (e *encoder) add(span []byte) { e.spans = wire.AppendBytes(e.spans, scopeSpansSpans, span) }

// request returns the batch, which is valid until the next request, and begins
// another.
func (e *encoder) request() []byte {
	scope := len(e.scope) + len(e.spans)
	b := wire.AppendLength(e.out[:0], resourceSpansScope, scope)
	all := len(e.resource) + len(b) + scope
	b = wire.AppendLength(b[:0], dataResourceSpans, all)
	b = append(b, e.resource...)
	b = wire.AppendLength(b, resourceSpansScope, scope)
	b = append(b, e.scope...)
	b = append(b, e.spans...)
	e.out, e.spans = b, e.spans[:0]
	return b
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

// appendAttrs appends attributes as KeyValue fields called num.
func appendAttrs(b []byte, num int32, attrs []exporters.Attr) []byte {
	for i := range attrs {
		a := &attrs[i]
		switch a.Kind {
		case exporters.KindString:
			b = appendString(b, num, a.Key, a.Str)
		case exporters.KindInt:
			b = appendInt(b, num, a.Key, int64(a.Num))
		case exporters.KindBool:
			b = appendNumber(b, num, a.Key, anyBool, a.Num&1)
		case exporters.KindUint:
			// OTLP integers are signed; a value beyond them goes as text
			// rather than as a wrong number.
			if a.Num <= math.MaxInt64 {
				b = appendInt(b, num, a.Key, int64(a.Num))
			} else {
				b = appendString(b, num, a.Key, strconv.FormatUint(a.Num, 10))
			}
		case exporters.KindPointer:
			var text [18]byte
			b = appendText(b, num, a.Key, strconv.AppendUint(append(text[:0], "0x"...), a.Num, 16))
		}
	}
	return b
}

func appendInt(b []byte, num int32, key string, v int64) []byte {
	return appendNumber(b, num, key, anyInt, uint64(v))
}

// appendNumber appends an attribute whose value is the varint field kind of an
// AnyValue.
func appendNumber(b []byte, num int32, key string, kind int32, v uint64) []byte {
	key = valid(key)
	value := 1 + uvarintLen(v)
	b = wire.AppendLength(b, num, 1+uvarintLen(uint64(len(key)))+len(key)+2+value)
	b = wire.AppendLength(b, keyValueKey, len(key))
	b = append(b, key...)
	b = wire.AppendLength(b, keyValueValue, value)
	return wire.AppendVarint(b, kind, v)
}

func appendString(b []byte, num int32, key, v string) []byte {
	return appendText(b, num, key, valid(v))
}

// appendText appends an attribute whose value is text in UTF-8.
func appendText[T string | []byte](b []byte, num int32, key string, v T) []byte {
	key = valid(key)
	value := 1 + uvarintLen(uint64(len(v))) + len(v)
	b = wire.AppendLength(b, num, 1+uvarintLen(uint64(len(key)))+len(key)+1+uvarintLen(uint64(value))+value)
	b = wire.AppendLength(b, keyValueKey, len(key))
	b = append(b, key...)
	b = wire.AppendLength(b, keyValueValue, value)
	b = wire.AppendLength(b, anyString, len(v))
	return append(b, v...)
}

// uvarintLen is how many bytes a varint takes.
func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
