package profiler

// Kind says what a profile counts.
type Kind string

const (
	// CPU: what processors did at each moment.
	CPU Kind = "cpu"
	// Wall: where every thread was at each moment, running or not.
	Wall Kind = "wall"
	// OffCPU: where the threads that did not run were, and what for.
	OffCPU Kind = "offcpu"
	// Heap: what holds memory.
	Heap Kind = "heap"
	// Lock: what waited for locks.
	Lock Kind = "lock"
)

// Unit is what a number of a profile is: a name and pprof's word for its unit.
type Unit struct{ Name, Unit string }

// Units names Sample.Count and Sample.Value as pprof's own profiles of that kind
// do. The zero Kind is CPU.
func (k Kind) Units() (count, value Unit) {
	switch k {
	case Wall:
		return Unit{"samples", "count"}, Unit{"wall", nanoseconds}
	case OffCPU:
		return Unit{"samples", "count"}, Unit{"offcpu", nanoseconds}
	case Heap:
		return Unit{"inuse_objects", "count"}, Unit{"inuse_space", "bytes"}
	case Lock:
		return Unit{"contentions", "count"}, Unit{"delay", nanoseconds}
	}
	return Unit{"samples", "count"}, Unit{"cpu", nanoseconds}
}

const nanoseconds = "nanoseconds"

// Sampled reports whether the profile was made by looking at the guest again and
// again, so that its numbers are estimates; the others are counted.
func (k Kind) Sampled() bool { return k != Heap && k != Lock }
