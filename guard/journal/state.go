package journal

import "time"

// RunState is what is known of whether the guest ran.
type RunState uint8

const (
	Unknown RunState = iota
	Running
	Paused
)

func (r RunState) String() string {
	switch r {
	case Running:
		return "running"
	case Paused:
		return "paused"
	}
	return "not known"
}

// Process names a process for good: a pid is used again, a pid with its start
// time is not.
type Process struct {
	PID int
	// Start is field 22 of /proc/PID/stat, in clock ticks since boot.
	Start uint64
}

// Monitor is a VMM's monitor socket; Proto is "qmp", "hmp" or "".
type Monitor struct {
	Path, Proto string
}

// VMM is the process that runs the guest; the zero value is not known.
type VMM struct {
	Process
	Comm, Name, UUID string
	Monitors         []Monitor
	// GDB are the -gdb specifications of its command line, as its "gdbserver"
	// command takes them.
	GDB []string
}

// Break is a breakpoint or watchpoint in the guest.
type Break struct {
	// Kind is the number of the Z packet.
	Kind int
	Addr uint64
	Len  int
	// Patched: we wrote the instruction over the text, not the stub.
	Patched bool
	// Orig is the text below it, nil if not known.
	Orig []byte
}

func (b *Break) same(o *Break) bool { return b.Kind == o.Kind && b.Addr == o.Addr && b.Len == o.Len }

// Memory is what a range held before a temporary change.
type Memory struct {
	Addr uint64
	Old  []byte
}

// Register is what a register held before a temporary change.
type Register struct {
	CPU, Num int // Num is the DWARF number
	Old      uint64
}

// TempStub is a stub opened through a monitor.
type TempStub struct {
	Monitor Monitor
	// Dir is the folder made for its socket, Socket the path within.
	Dir, Socket string
	Found       RunState
	// Status is the monitor's word for the run state found, such as
	// "paused (prelaunch)".
	Status string
}

// Kept is a change a person asked for, which is told and not undone.
type Kept struct {
	Addr uint64
	Len  int
}

// State is what a journal adds up to.
type State struct {
	Begin
	Guard Process
	VMM   VMM

	// Connecting: the stub may have noticed us, from ConnectedAt on, in
	// nanoseconds of CLOCK_MONOTONIC.
	Connecting  bool
	ConnectedAt int64
	// Heard is what the stub sent since the run state was last known, and we
	// took from the link.
	Heard []byte

	Attached bool
	Stub     Attached // as attached

	// LeaveRunning is what leaving makes of the guest.
	LeaveRunning bool
	// Running: it was let run. Sure is set once the order was sent in full.
	Running, Sure bool
	Stepping      bool
	// Interrupted: a stop was asked for since.
	Interrupted bool

	Breaks    []Break
	Memory    []Memory
	Registers []Register
	Kept      []Kept
	Temp      *TempStub
	// Settings are monitor commands that put back what was set.
	Settings []Setting

	// Detaching: the order to let go may have been sent.
	Detaching bool
	// Left: all is undone.
	Left bool

	// Torn: the file ended in the middle of a record. Skipped counts records
	// of unknown kinds.
	Torn    bool
	Skipped int
}

// Clean reports whether nothing of ours is in the guest's memory, registers or
// monitor.
func (s *State) Clean() bool {
	return len(s.Breaks) == 0 && len(s.Memory) == 0 && len(s.Registers) == 0 && s.Temp == nil && len(s.Settings) == 0
}

// Age is how long ago the attachment began.
func (s *State) Age(now time.Time) time.Duration { return now.Sub(s.Created) }
