package profiler

import (
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Profile is what a sampling run found.
type Profile struct {
	// Kind says what is counted; the zero Kind is CPU.
	Kind Kind
	// Source says in a word or two what took the samples, such as "stub" or "perf
	// cpu-clock", "" if that is not known.
	Source string
	// Flat: the innermost address is all that was sampled, the callers are not known.
	Flat bool
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
	// Late is by how much samples came after their moment, on average, and Latest
	// the most of it.
	Late, Latest time.Duration
	// Abandoned counts samples that were given up because the stop would have
	// lasted too long.
	Abandoned int
	// Lost counts samples that were taken and did not come through.
	Lost int64
	// Outside counts samples of the processors' threads that hit the VMM or the host's
	// kernel, not the guest; they are not among Samples.
	Outside int64
	// Idle is the processors' time in which there was nothing to sample, where what
	// samples sees no idle guest.
	Idle  time.Duration
	Pause Pause
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
	// Exits counts how often the guest's processors left the guest to be looked
	// at although nothing stopped it, as KVM's do when a monitor asks for their
	// registers.
	Exits int
}

// Share returns the part of the run the guest was stopped, from 0 to 1.
func (p *Profile) Share() float64 {
	if p.Duration <= 0 {
		return 0
	}
	return float64(p.Pause.Total) / float64(p.Duration)
}

// Counted reports whether only the numbers of samples say anything, as of a dump,
// whose stacks stand for no time.
func (p *Profile) Counted() bool {
	for i := range p.Samples {
		if p.Samples[i].Value != 0 {
			return false
		}
	}
	return true
}

// Total is the sum of the samples' counts and values.
func (p *Profile) Total() (count, value int64) {
	for i := range p.Samples {
		count += p.Samples[i].Count
		value += p.Samples[i].Value
	}
	return count, value
}

// IdleShare returns the part of the processors' time in which they had nothing to do,
// from 0 to 1.
func (p *Profile) IdleShare() float64 {
	counted := p.Counted()
	idle := float64(p.Idle)
	all := idle + float64(p.Outside)*float64(p.Period)
	for i := range p.Samples {
		s := &p.Samples[i]
		v := float64(s.Value)
		if counted {
			v = float64(s.Count)
		}
		all += v
		if s.Thread.Idle {
			idle += v
		}
	}
	if all == 0 {
		return 0
	}
	return idle / all
}

// Busy is the profile without the samples of idle threads.
func (p *Profile) Busy() *Profile {
	q := *p
	q.Samples = nil
	for _, s := range p.Samples {
		if !s.Thread.Idle {
			q.Samples = append(q.Samples, s)
		}
	}
	return &q
}

// NoCPU is Sample.CPU of a sample that belongs to no processor.
const NoCPU target.CPU = -1

// Sample is one stack of one thread on one processor, and how often it was seen.
type Sample struct {
	// Stack is innermost first. Frames inlined into the same function call
	// share the Address of the frame that has Inline false and follows them.
	Stack  []Frame
	Thread Thread
	CPU    target.CPU
	Count  int64
	// Value is what the samples stand for: nanoseconds, or bytes for Heap.
	Value int64
	// State says in a word or two what the thread did ("running", "ready", "waits
	// for mutex cache.lock"), "" where the kind of profile does not tell.
	State string
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
	// Idle: it is the one that runs when there is nothing to do.
	Idle bool
}

// Library is the micro-library the sample's innermost frame with a source file
// belongs to, "" if none has one.
func (s *Sample) Library() string {
	for _, f := range s.Stack {
		if f.File != "" {
			return Library(f.File)
		}
	}
	return ""
}

// String is what a frame is called: its function, or its address.
func (f Frame) String() string {
	name := f.Function
	if name == "" {
		name = fmt.Sprintf("%#x", f.Address)
	}
	if f.Guessed {
		name += " (guessed)"
	}
	return name
}

// String is what a thread is called, "" for one that is not known.
func (t Thread) String() string {
	switch {
	case !t.Known:
		return ""
	case t.Name == "":
		return fmt.Sprintf("thread %d", t.ID)
	}
	return t.Name
}

// NotCaptured stands for the callers of a stack that was cut off.
const NotCaptured = "[stack not captured further]"
