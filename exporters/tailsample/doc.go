// Package tailsample chooses which traces of a guest are worth sending, and counts
// all of them.
//
//	budget := tailsample.NewBudget(1000) // spans a second, of all guests of a host
//	room := tailsample.NewRoom(64 << 20)  // bytes of spans that wait, of all guests of a host
//	s := tailsample.New(tailsample.Policy{Errors: true, Keep: 0.01}, budget, room, instance)
//	kept := s.Add(time.Now(), spans) // in order of their ends; for otlp.EncodeTraces
//	durations, failed := s.Points(start, time.Now(), attrs...)
//
// A trace is the spans of one request: those with the same Root. Its outermost span
// ends last, so spans wait until that one comes. Then the trace is kept if one of its
// spans failed, if it took long (as Policy.Slow says, or longer than 99 % of its like
// lately), or if it is of the part kept of the rest. That part is told by the trace's
// identifier, as OpenTelemetry's consistent probability sampling has it: its 56 last
// bits are at least (1-Keep)·2⁵⁶, so who looks at the same trace elsewhere decides
// alike. The outermost span says why it is kept in the attribute ReasonKey.
//
// What is kept must fit into the budget; half of its burst is reserved for failed and
// slow traces. What is left out is counted by its reason. All spans are counted, sent
// or not: rate, errors and durations by name. Names beyond a number are one, with
// OpenTelemetry's attribute otel.metric.overflow.
//
// Memory is bounded whatever a guest sends: a trace that is long, waits long, or
// waits longest of too many is decided upon before its end, and what comes of it
// later goes the same way. So it is for all guests together: when the room is full, the
// guest that holds most of it gives up its oldest trace, so one that traces more than
// the others costs itself alone. What is then kept waits, within the budget, until the
// guest's next Add.
package tailsample
