package profiler

import (
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Profile is what a sampling run found.
type Profile struct {
	// Samples are aggregated: each distinct stack, thread and processor once.
	Samples  []Sample
	Mappings []Mapping
	// Start is when the run began, Duration how long it took on the host.
	Start    time.Time
	Duration time.Duration
	// Period is the mean time between samples as it was, Asked as it was asked
	// for.
	Period, Asked time.Duration
	// Ticks is how many times the guest was sampled; every processor gives one
	// sample at each. Missed counts moments of the schedule that were let go,
	// to stay within the pause budget or because the host was late.
	Ticks, Missed int
	Pause         Pause
	// Ended says why the run ended before its time, "" if it did not.
	Ended string
	// Warnings say what limits the profile's truth.
	Warnings []string
}

// Pause is what sampling cost the guest.
type Pause struct {
	// Total and Longest are the time the guest was kept stopped, over Stops.
	Total, Longest time.Duration
	Stops          int
}

// Share returns the part of the run the guest was stopped, from 0 to 1.
func (p *Profile) Share() float64 {
	if p.Duration <= 0 {
		return 0
	}
	return float64(p.Pause.Total) / float64(p.Duration)
}

// Sample is one stack of one thread on one processor, and how often it was seen.
type Sample struct {
	// Stack is innermost first. Frames inlined into the same function call
	// share the Address of the frame that has Inline false and follows them.
	Stack  []Frame
	Thread Thread
	CPU    target.CPU
	Count  int64
	// Weight is the time the samples stand for.
	Weight time.Duration
	// Truncated says that the stack goes on beyond what was captured.
	Truncated bool
}

// Frame is one function of a stack.
type Frame struct {
	// Address is the run-time address looked up: the pc of the innermost frame
	// and of one interrupted by a trap, the return address minus one elsewhere.
	Address uint64
	// Function is "" where no symbol is known.
	Function, Linkage string
	File              string
	Line              int
	// Inline says that the function was inlined into the frame after it.
	Inline bool
	// Guessed says that the frame was found by scanning the stack, not by CFI
	// or frame pointers.
	Guessed bool
}

// Mapping is a range of run-time addresses that belongs to one image.
type Mapping struct {
	File string
	// BuildID and ContentHash are in hexadecimal, "" if there is none.
	BuildID, ContentHash string
	// Start and Last are the first and last address.
	Start, Last uint64
	// Slide is run-time minus link-time address.
	Slide uint64
}

// Thread is who ran on a processor.
type Thread struct {
	ID int64
	// Name is "" if it is not known.
	Name string
	// Known says that the thread was found out at all.
	Known bool
}
