package exporters

import "iter"

// Span is one operation of a guest's thread, with a start and an end.
type Span struct {
	// ID tells the span from all others of the same guest run: the position of
	// its first record in the trace, from 1. Exported identifiers are derived
	// from it, so the same trace exported twice gives the same identifiers.
	ID uint64
	// Parent is the ID of the enclosing span, 0 for none; Root that of the
	// outermost one, 0 for this span itself.
	Parent, Root uint64

	Name string
	// Start and End are nanoseconds on the clock the exporter is given; with
	// the zero Clock they are Unix time.
	Start, End int64

	Thread Thread
	// CPU is where it began.
	CPU CPU

	// Err says that the operation failed. ErrType is a short class of low
	// cardinality ("EIO"), ErrText the message; both may be "".
	Err              bool
	ErrType, ErrText string
	// AcrossLost: records were lost between its begin and its end, which may be those
	// of two operations; how long it took is not known.
	AcrossLost bool

	// Function, File and Line tell where in the guest's source the operation
	// begins; "" and 0 where it is not known.
	Function, File string
	Line           int

	Attrs []Attr
	// Events happened during the span.
	Events []Event
	// Flows connect this with the spans and events that have the same numbers,
	// cause before effect: a wake-up and what ran then.
	Flows []uint64
}

// Event is something that happened at one moment.
type Event struct {
	Name string
	// Time is in nanoseconds on the same clock as Span.Start.
	Time int64
	// Thread and CPU are not needed for the events of a span.
	Thread Thread
	CPU    CPU
	Attrs  []Attr
	// Flows are as those of a Span.
	Flows []uint64
}

// CPU is a processor of the guest.
type CPU struct {
	// ID counts from 0.
	ID int
	// Known says that the processor is known at all.
	Known bool
}

// Counter is the value of something from a moment on.
type Counter struct {
	// Name is what is counted, Unit in what ("bytes"; "" for things).
	Name, Unit string
	// Time is in nanoseconds on the same clock as Span.Start.
	Time  int64
	Value int64
}

// Thread names a thread of the guest.
type Thread struct {
	// ID is the guest's number for the thread.
	ID int64
	// Name is "" if the thread has none or it is not known.
	Name string
	// Known says that the thread is known at all.
	Known bool
}

// Of returns the sequence of the given spans.
func Of(spans ...Span) iter.Seq2[Span, error] {
	return func(yield func(Span, error) bool) {
		for _, s := range spans {
			if !yield(s, nil) {
				return
			}
		}
	}
}
