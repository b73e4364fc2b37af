package status

import "time"

// Page is what the status page shows: a snapshot, made for one request. All
// texts are shown as they are, escaped.
type Page struct {
	Host    string
	Version string
	// Started and Now are by the host's clock.
	Started time.Time
	Now     time.Time
	// Config is the file the configuration was read from, Loaded when.
	Config string
	Loaded time.Time
	// Problems are what a person ought to see first.
	Problems []string
	Guests   []Guest
	// Faults are the latest, the newest first.
	Faults  []Fault
	Queues  []Queue
	Budgets []Budget
}

// Guest is a guest of this host.
type Guest struct {
	// Name is what its manager calls it, Target the address for one-shot
	// commands.
	Name   string
	Target string
	VMM    string // "qemu", "firecracker"
	State  string // "running", "paused", "" if not known
	Arch   string
	PID    int
	Since  time.Time // when the agent saw it first
	Image  Image
	Ways   []Way
	// Console is the log that is followed, NoConsole why there is none.
	Console   string
	NoConsole string
	Profile   Profile
	Traces    Traces
	Stops     Stops
	// Faults counts the reports seen.
	Faults uint64
	// Problem is what the agent could not do, "" if nothing.
	Problem string
	// Commands do once, by hand, what the agent does again and again.
	Commands []Command
}

// Image says which image a guest runs.
type Image struct {
	// Hash names it, Debug is its file with debug information, "" if none was
	// found: then Hash is what to look for.
	Hash  string
	Name  string
	Debug string
	// How says how it was recognised.
	How string
}

// Way is a way to a guest.
type Way struct {
	Kind string // "monitor", "memory", "gdb", "console", "api"
	Path string
	Open bool
	Note string
}

// Profile is a guest's last profile.
type Profile struct {
	At       time.Time // zero if there is none yet
	Kind     string    // "cpu", "wall" …
	Duration time.Duration
	Samples  uint64
	// Idle is the share of samples in which the guest did nothing, 0 to 1.
	Idle float64
	// Top are the functions with the most samples of their own.
	Top []Function
	// Note is what to keep in mind (bias of an emulator), or why there is none.
	Note string
}

// Function is one line of a profile.
type Function struct {
	Name  string
	Share float64 // of the samples that are not idle, 0 to 1
}

// Traces count what was read of a guest's trace.
type Traces struct {
	Records uint64
	Lost    uint64
	Spans   uint64
	Sent    uint64
	Note    string // why there are none
}

// Stops are how often and how long the agent held a guest.
type Stops struct {
	Count   uint64
	Total   time.Duration
	Longest time.Duration
}

// Fault is a report of a guest.
type Fault struct {
	At          time.Time
	Guest       string
	Kind        string
	Text        string // one line
	Where       string
	Fingerprint string
	// Command explains it again.
	Command string
}

// Queue is what waits to be sent to a receiver.
type Queue struct {
	Name     string
	Receiver string
	Items    uint64 // waiting
	Bytes    int64  // waiting, in memory and on disk
	Limit    int64  // of bytes
	Sent     uint64
	Dropped  uint64
	Retries  uint64
	// Problem is the last failure, "" since the last success.
	Problem string
	LastOK  time.Time
}

// Budget is a limit and what is used of it.
type Budget struct {
	Name  string // "CPU", "memory", "spans"
	Used  float64
	Limit float64
	Unit  string // "core", "By", "/s"
	Note  string
}

// Command is a one-shot command line.
type Command struct {
	What string
	Line string
}
