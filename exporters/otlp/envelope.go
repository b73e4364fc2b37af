package otlp

import "github.com/ukdbg/ukdbg/exporters/wire"

// Field numbers of an export request and of what it has its items in. Those of
// traces, logs and metrics are the same: TracesData, ResourceSpans and ScopeSpans
// of trace.proto, and so on; resource.proto, common.proto.
const (
	dataResource = 1

	resourceResource   = 1
	resourceScope      = 2
	resourceSchema     = 3
	resourceAttributes = 1

	scopeScope   = 1
	scopeItems   = 2
	scopeSchema  = 3
	scopeName    = 1
	scopeVersion = 2
)

// envelope makes export requests of encoded items: spans, log records or metrics
// of one resource and scope.
type envelope struct {
	resource []byte // the fields of ResourceSpans but its spans
	scope    []byte // those of ScopeSpans
	items    []byte // the batch, as fields of ScopeSpans
	out      []byte
}

// newEnvelope takes the resource of opt and the scope, which opt may name
// differently.
func newEnvelope(opt Options, scope string) envelope {
	var e envelope
	e.resource = wire.AppendBytes(nil, resourceResource, opt.Resource.Append(nil))
	e.resource = wire.AppendString(e.resource, resourceSchema, schemaURL)
	if opt.Scope != "" {
		scope = opt.Scope
	}
	s := wire.AppendString(nil, scopeName, scope)
	if opt.Version != "" {
		s = wire.AppendString(s, scopeVersion, opt.Version)
	}
	e.scope = wire.AppendBytes(nil, scopeScope, s)
	e.scope = wire.AppendString(e.scope, scopeSchema, schemaURL)
	return e
}

// size is that of the batch's items so far, in bytes.
func (e *envelope) size() int { return len(e.items) }

func (e *envelope) add(item []byte) { e.items = wire.AppendBytes(e.items, scopeItems, item) }

// request returns the batch, which is valid until the next request, and begins
// another.
func (e *envelope) request() []byte {
	scope := len(e.scope) + len(e.items)
	b := wire.AppendLength(e.out[:0], resourceScope, scope)
	all := len(e.resource) + len(b) + scope
	b = wire.AppendLength(b[:0], dataResource, all)
	b = append(b, e.resource...)
	b = wire.AppendLength(b, resourceScope, scope)
	b = append(b, e.scope...)
	b = append(b, e.items...)
	e.out, e.items = b, e.items[:0]
	return b
}
