// Package tailsample decides which traces of a guest are worth keeping, and counts
// all of them.
//
//	host := tailsample.NewHost(tailsample.Policy{}) // one for all guests of a host
//	guest := host.Guest(instance)
//	for s, err := range guest.Sample(spans) { ... } // what is kept, for otlp.EncodeTraces
//	metrics := append(guest.Metrics(now), host.Metrics(now)...)
//
// A trace is the spans of one request: those with the same Root. Its outermost span
// ends last, so spans are held until that one comes. Then the trace is kept if one
// of its spans failed, if it took long (longer than all but 1 % of its like, or than
// Policy.Slow), or if it is of the share kept of the rest, 1 %. That share is told by
// the trace's identifier, as OpenTelemetry's consistent probability sampling has it
// (the 56 last bits, at least (1-share)·2⁵⁶), so who looks at the same trace elsewhere
// decides alike. The outermost span kept says why in the attribute ReasonKey.
//
// What is kept must fit into a budget of spans a second for all guests of the host;
// half of its burst is reserved for failed and slow traces. What is left out is
// counted by its reason.
//
// Rate, errors and durations by operation are counted of every span before any is
// left out, under the names of the OpenTelemetry collector's spanmetrics connector.
// Operations beyond Policy.MaxOperations of a guest are one, with the attribute
// otel.metric.overflow.
//
// Memory is bounded: of at most Policy.MaxHeld spans; the trace that waits longest is
// decided upon before its end when there are more.
package tailsample
