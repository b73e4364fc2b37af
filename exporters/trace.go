package exporters

import "iter"

// Trace is what the forms write that show more than spans. Every part but Spans
// may be nil. A form may go through a part more than once; each time it must be
// the same.
type Trace struct {
	// Process is the guest's name.
	Process string
	// Clock maps the trace's times to Unix time.
	Clock Clock
	// Spans come in order of their ends: what is inside comes before what it is
	// in.
	Spans iter.Seq2[Span, error]
	// Instants are the records that belong to no span.
	Instants iter.Seq2[Event, error]
	// Records are all records, those that begin and end spans included, in
	// order of time; their attributes are the arguments by name.
	Records iter.Seq2[Event, error]
	// Counters may be nil.
	Counters iter.Seq2[Counter, error]
}
