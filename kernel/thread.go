package kernel

import "github.com/ukdbg/ukdbg/target"

// State is what a thread does.
type State uint8

const (
	// Unknown: it could not be read.
	Unknown State = iota
	// Running on a processor.
	Running
	// Ready: it would run if there were a processor for it.
	Ready
	// Sleeping until Wakeup or until woken.
	Sleeping
	// Waiting until woken.
	Waiting
	// Idle: the thread that runs when there is nothing to run, and does not.
	Idle
	// Exited and not yet cleaned up.
	Exited
)

var stateNames = [...]string{"unknown", "running", "ready", "sleeping", "waiting", "idle", "exited"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// NoCPU is Thread.CPU of a thread that does not run, or whose processor is not
// known.
const NoCPU target.CPU = -1

// Thread is one thread as the kernel describes it.
type Thread struct {
	// ID numbers threads from 1 in the order in which they were first seen. A
	// thread keeps its number for as long as it exists.
	ID int
	// Name is the guest's, cut at 64 bytes and not escaped; "" if it has none
	// or it is not readable. Names need not be unique.
	Name string
	// Addr is the address of its structure, 0 for a processor that runs no
	// thread yet, or none at all: one the kernel never started is Idle.
	Addr  uint64
	State State
	// New: it never ran; Entry is the function it will start in, 0 if not
	// known.
	New   bool
	Entry uint64
	// Wait says what it waits for ("mutex cache.lock, held by worker-1"), ""
	// where that is not known.
	Wait string
	// WaitObject is the run-time address of what it waits for, 0 if not known.
	WaitObject uint64
	// CPU is the processor whose registers are this thread's, else NoCPU. In
	// the middle of a context switch that is still the former thread, whatever
	// its state.
	CPU target.CPU
	// Regs is where it is: the processor's registers if Live, else those
	// saved when it was switched out. RegsErr says why there are none.
	Regs    target.Regs
	Live    bool
	RegsErr error
	// Returning: the program counter in Regs is a return address, so the line
	// it stands for is that of PC−1.
	Returning bool
	// ExecTime is how long it ran in nanoseconds up to its last switch, nil if
	// the image does not count.
	ExecTime *uint64
	// Wakeup is when its sleep or its waiting ends, in nanoseconds since boot,
	// 0 for never. ToGo is how long that is from now, at most, in nanoseconds;
	// nil where the guest's clock is not known.
	Wakeup uint64
	ToGo   *uint64
	// Stack is the lowest address of its stack, 0 if not known.
	Stack uint64
	// AuxStack is that of a further stack it runs on at times, as in system calls of
	// a loaded program; 0 if there is none or it is not known.
	AuxStack uint64
	// Notes tells what could not be read or is odd.
	Notes []string
}

// ThreadList is all threads at one moment.
type ThreadList struct {
	Threads []Thread
	// Notes tells what could not be read or is odd beyond one thread.
	Notes []string
	// RoundTrips is how many batches of reads it took.
	RoundTrips int
}
