package delivery

import (
	"context"
	"strconv"
	"time"
)

// Signal is the kind of telemetry.
type Signal uint8

// The signals. Their numbers are kept in spools and do not change.
const (
	Traces   Signal = 1
	Logs     Signal = 2
	Metrics  Signal = 3
	Profiles Signal = 4
)

func (s Signal) String() string {
	switch s {
	case Traces:
		return "traces"
	case Logs:
		return "logs"
	case Metrics:
		return "metrics"
	case Profiles:
		return "profiles"
	}
	return "signal " + strconv.Itoa(int(s))
}

// Batch is what is sent in one go.
type Batch struct {
	Signal Signal
	// Items is how many spans, records, points or profiles it has.
	Items int
	// Payload is in the form the Sender takes.
	Payload []byte
}

// Reply is the answer of a receiver that took a batch.
type Reply struct {
	// Rejected is how many items it does not keep.
	Rejected int64
	// Message is what it says about them, or a warning; one line.
	Message string
}

// Sender sends a batch to a receiver, once. Its errors are sorted as the package
// comment says. It may be used by one goroutine at a time.
type Sender interface {
	Send(ctx context.Context, b Batch) (Reply, error)
}

// Joiner is what a Sender is, too, that takes the payloads of several batches of a
// signal put one after another as one. A Queue then sends what waits together.
type Joiner interface {
	Joins(s Signal) bool
}

// Passing is a failure that may be gone later.
type Passing struct {
	Err error
	// After is how long the receiver asked to wait, 0 if it did not say.
	After time.Duration
}

func (e *Passing) Error() string { return e.Err.Error() }
func (e *Passing) Unwrap() error { return e.Err }

// Refused says that a receiver will never take this very batch.
type Refused struct{ Err error }

func (e *Refused) Error() string { return e.Err.Error() }
func (e *Refused) Unwrap() error { return e.Err }
