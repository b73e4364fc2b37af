package perfevent

import (
	"errors"
	"fmt"
	"time"
)

// Thread is a thread of the VMM that runs a virtual processor of the guest.
type Thread struct {
	TID int
	// CPU is the processor's number, or -1 if that is not known: then those threads
	// that turn out to run the guest are numbered in their order.
	CPU int
}

// Options say what is sampled.
type Options struct {
	Threads []Thread
	// Rate is in samples a second of a processor's time.
	Rate float64
	// Host keeps the samples of the VMM and of KVM too, as a profiler of ordinary
	// processes does.
	Host bool
}

// maxThreads bounds the threads an event is opened on: each has a ring.
const maxThreads = 512

// Key is what samples are counted by.
type Key struct {
	CPU  int
	IP   uint64
	Mode Mode
}

// Count is how often a key was seen, and the nanoseconds that stands for.
type Count struct{ N, Time int64 }

// maxKeys bounds what is told apart.
const maxKeys = 1 << 20

// Result is what a run found.
type Result struct {
	Counts map[Key]Count
	// Event is what was counted to sample: Cycles or Clock.
	Event string
	// Guest and Host are the numbers of samples of the guest and of the VMM and KVM.
	Guest, Host int64
	// Crowded counts samples beyond maxKeys different ones, which are not in Counts.
	Crowded int64
	Losses
	// Ran is for how long the threads were on a processor, of Wall each.
	Ran, Wall time.Duration
	// Threads is how many threads were sampled, CPUs how many of them ran the guest.
	Threads, CPUs int
	// Ended says that the guest's process ended meanwhile.
	Ended bool
}

var (
	// ErrUnsupported: this system has no performance events.
	ErrUnsupported = errors.New("performance events (perf_event_open) are Linux's, and this system or kernel has none")
	// ErrNoGuest: the run saw no sample of the guest.
	ErrNoGuest = errors.New("no sample is the guest's")
)

// DeniedError is a refusal by the kernel, with the one change that would end it.
type DeniedError struct {
	Why, Change string
	Err         error
}

func (e *DeniedError) Error() string {
	text := "performance events are refused: " + e.Why
	if e.Change != "" {
		text += "; " + e.Change
	}
	return text
}

func (e *DeniedError) Unwrap() error { return e.Err }

// counter counts samples, by the place of their thread among those sampled.
type counter struct {
	res    Result
	host   bool
	period float64 // nanoseconds a sample stands for, or 0 where samples tell
}

func (c *counter) add(cpu int, s Sample) {
	switch {
	case s.Mode.Guest():
		c.res.Guest++
	default:
		c.res.Host++
		if !c.host {
			return
		}
	}
	ns := c.period
	if ns == 0 {
		// What a hostile ring says is bounded by what a timer can be set to.
		ns = float64(min(s.Period, uint64(maxPeriod)))
	}
	k := Key{cpu, s.IP, s.Mode}
	n, known := c.res.Counts[k]
	if !known && len(c.res.Counts) >= maxKeys {
		c.res.Crowded++
		return
	}
	n.N++
	n.Time += int64(ns)
	c.res.Counts[k] = n
}

// maxPeriod bounds the time one sample stands for.
const maxPeriod = time.Hour

// number gives threads whose processor is not known a number, by the order of
// those that ran the guest.
func (c *counter) number(threads []Thread) {
	cpus := map[int]int{} // by the place in threads
	seen := map[int]bool{}
	for k := range c.res.Counts {
		seen[k.CPU] = seen[k.CPU] || k.Mode.Guest() || c.host
	}
	for i, t := range threads {
		if !seen[i] {
			continue
		}
		if cpus[i] = t.CPU; t.CPU < 0 {
			cpus[i] = c.res.CPUs
		}
		c.res.CPUs++
	}
	out := make(map[Key]Count, len(c.res.Counts))
	for k, n := range c.res.Counts {
		if cpu, ok := cpus[k.CPU]; ok {
			k.CPU = cpu
		} else {
			k.CPU = -1
		}
		sum := out[k]
		out[k] = Count{sum.N + n.N, sum.Time + n.Time}
	}
	c.res.Counts = out
}

// fewSamples are so few that none of the guest's among them says nothing.
const fewSamples = 20

// none explains a run without a sample of the guest; that of an idle guest is right.
func (r *Result) none(rate float64) error {
	switch {
	case r.Ran.Seconds()*rate < fewSamples:
		return nil
	case r.Event == Clock:
		return fmt.Errorf("%w: all %d are the VMM's or KVM's own (this host has no counter of cycles for guests, and its timer did not interrupt the guest; "+
			"a host with a PMU would tell)", ErrNoGuest, r.Host)
	}
	return fmt.Errorf("%w: the host's counter of cycles does not count in guests", ErrNoGuest)
}

// The events, by perf's names: the processor's counter of cycles, and the kernel's
// clock.
const (
	Cycles = "cycles"
	Clock  = "cpu-clock"
)
