package tracebuf

// Span is the time between a tracepoint X and its X_ret or X_err.
type Span struct {
	Interval
	// Parent is the ID of the enclosing span, 0 if there is none. An enclosing
	// span may never end, in which case it comes in Unmatched. Root is the ID of
	// the outermost enclosing span, ID itself if there is none.
	Parent, Root uint64
	Name         string
	// Enter and Leave are the two records. They are valid until the Pairer's
	// next Add: Clone what is kept.
	Enter, Leave Record
	// Thread is the name of the thread, "" where it is not known.
	Thread string
}

// Interval is a span without its records, which is what counting and timing
// needs.
type Interval struct {
	// ID tells the span from all others of the guest run: the Position of its
	// first record, or where records have none a number from 1.
	ID uint64
	// Base is the index in Definitions.All of X.
	Base int
	// Start and End are in nanoseconds since the guest's boot.
	Start, End uint64
	// Inner is how much of it was spent in spans directly inside, Waited how
	// much its thread did not run; nanoseconds. Waited is 0 where switches are
	// not traced.
	Inner, Waited uint64
	// Failed: it ended by X_err.
	Failed bool
	// Ambiguous: its begin or its end may be another thread's, because threads
	// are not known and other spans were open that began later, because several
	// threads ran on several CPUs, which records do not name, or because records
	// were lost meanwhile.
	Ambiguous bool
	// AcrossLost: records were lost between its begin and its end, which may be
	// those of two spans. Its duration tells nothing then. It is Ambiguous, too.
	AcrossLost bool
	// OnThread is the number of the thread: see Pairer.ThreadName.
	OnThread int
}

// Duration is how long the span took in nanoseconds, 0 if the clock went back.
func (s *Interval) Duration() uint64 { return sub(s.End, s.Start) }

// Self is the part of the duration that was spent in no span inside.
func (s *Interval) Self() uint64 { return sub(s.Duration(), s.Inner) }

func sub(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// Unmatched is a begin or an end whose other half is missing: still open,
// before the first record, or lost.
type Unmatched struct {
	Record Record
	Thread string
	// Open: a begin that did not end.
	Open bool
}
