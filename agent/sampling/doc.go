// Package sampling chooses which traces of a guest are sent, when all of a trace is
// known: those with a failed span, those that were slow, a part of the others, and
// never more than a budget of spans a second. All spans, sent or not, are counted in
// metrics by name: rate, errors, duration.
//
//	budget := sampling.NewBudget(1000)
//	s := sampling.New(sampling.Policy{Slow: 100 * time.Millisecond, Errors: true, Keep: 0.01}, budget, instance)
//	kept := s.Add(now, spans) // spans of whole traces, in order of their ends
//	metrics := s.Metrics(…)
//
// A trace is all spans with one Root, and is whole when that span ends. The spans of
// a trace whose root does not end in time are decided on without it. Which traces of
// the part are kept follows from their identifiers alone, so that two readings of one
// trace agree.
//
// Memory is bounded whatever a guest sends; what goes beyond is counted.
package sampling
