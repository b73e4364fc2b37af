package target

import (
	"context"
	"time"
)

// EventKind tells what happened to the guest.
type EventKind int

const (
	// EventStopped: the guest stopped; Stop says why.
	EventStopped EventKind = iota
	// EventOutput: the guest or the stub printed Text.
	EventOutput
	// EventExited: the guest ended; Status is its exit status.
	EventExited
	// EventLost: the link is gone; Err says how.
	EventLost
	// EventResumed: somebody else let the guest run.
	EventResumed
)

// StopReason tells why the guest stopped.
type StopReason int

const (
	// StopUnknown: the source did not say.
	StopUnknown StopReason = iota
	// StopInterrupt: we asked for it.
	StopInterrupt
	// StopBreakpoint: a software or hardware breakpoint.
	StopBreakpoint
	// StopStep: a single step ended.
	StopStep
	// StopWatch: a watchpoint; WatchAddr is the address the source named.
	StopWatch
	// StopSignal: a trap or signal of the guest; Signal is its GDB number.
	StopSignal
	// StopForeign: somebody else stopped the guest (an operator, a monitor).
	StopForeign
)

// Stop describes one stop of the guest.
type Stop struct {
	CPU       CPU
	Reason    StopReason
	Signal    int    // GDB signal number, 0 if none
	WatchAddr uint64 // with StopWatch
}

// Event is something that happened when it liked: a stop, console text, a lost
// link.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Stop   Stop
	Text   []byte
	Status int
	Err    error
	// Paused, if not 0: the stop ended by itself after about so long, and the guest
	// runs again.
	Paused time.Duration
}

// Action says how one processor, or AllCPUs, goes on.
type Action struct {
	CPU    CPU
	Step   bool // one instruction
	Signal int  // deliver this GDB signal, 0 for none
}

// Controller runs and stops a live guest. Resume returns as soon as the guest
// was told; how it stopped comes as an event. A processor without an action
// stays where it is. Interrupt asks for a stop, which comes as an event too.
type Controller interface {
	Resume(ctx context.Context, actions ...Action) error
	Interrupt(ctx context.Context) error
	// Events delivers events in order. It is closed after EventLost or after
	// the target was left.
	Events() <-chan Event
	// Running reports whether the guest runs now, as far as is known here.
	Running() bool
}

// BreakKind is the kind of a breakpoint or watchpoint, by the number of its
// GDB Z packet.
type BreakKind int

const (
	BreakSoftware BreakKind = iota
	BreakHardware
	WatchWrite
	WatchRead
	WatchAccess
)

// IsWatch reports whether it watches data.
func (k BreakKind) IsWatch() bool { return k >= WatchWrite }

// Breakpoint is a place where the guest stops.
type Breakpoint struct {
	Kind BreakKind
	Addr uint64
	// Len is the number of bytes watched; for breakpoints 0 stands for the
	// architecture's instruction.
	Len int
}

// Breaker inserts and removes breakpoints in a stopped guest.
type Breaker interface {
	Insert(ctx context.Context, b Breakpoint) error
	Remove(ctx context.Context, b Breakpoint) error
}

// Monitor is the optional power to run a command of the VMM's or probe's own.
type Monitor interface {
	Monitor(ctx context.Context, command string) (string, error)
}

// Leaver gives the guest back: breakpoints are removed, and what ran when it was
// attached runs again, what was paused stays paused. After it every call fails.
type Leaver interface {
	Leave(ctx context.Context) (Farewell, error)
}

// Farewell tells how the guest was left.
type Farewell struct {
	// Running: the guest runs now.
	Running bool
	// Stopped is how long the guest was kept stopped by us in all, and Longest
	// the longest single stop.
	Stopped, Longest time.Duration
	// Stops counts them, and Lapsed those that were ended because their time was
	// over.
	Stops, Lapsed int
	// Held is the longest time between a stop's being told and the order to run,
	// Latest the longest between its being asked for and the stub's acknowledgement
	// of that order; 0 if the stub does not tell.
	Held, Latest time.Duration
	// Pauses tells a person how far a cap on single stops was kept, "" without one.
	Pauses string
	// Note names what could not be put back, "" if nothing.
	Note string
}
