package profiler

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg/target"
)

// Threads tells which thread runs on a processor.
type Threads interface {
	// Probe names the memory to read at each stop, in the same round trip as
	// the stack: typically the pointer to the current thread.
	Probe(cpu target.CPU, regs *target.Regs) []target.Range
	// Thread says who the read probe means. It is called while the guest is
	// stopped, so that it can read the thread's name, and only for a probe that
	// differs from all before it. An error other than a lost link leaves the
	// thread unknown.
	Thread(ctx context.Context, mem target.Memory, cpu target.CPU, probe []target.Range) (Thread, error)
}

// owner is the optional power of Threads to tell a thread by the registers alone:
// those of a guest that is not stopped are of a moment before the probe's, and a
// processor without a thread has nothing to probe.
type owner interface {
	Owner(regs *target.Regs) (Thread, bool)
}

// maxThreads bounds the memory of threads seen.
const maxThreads = 1 << 16

// thread is the thread of a capture.
func (s *Sampler) thread(ctx context.Context, c *Capture, probe []target.Range) (Thread, error) {
	// A thread not seen before is asked for first: its stack may become known by that.
	t, err := s.probed(ctx, c, probe)
	if o, ok := s.Threads.(owner); ok && err == nil && (s.Unstopped || len(probe) == 0) {
		if by, ok := o.Owner(&c.Regs); ok {
			return by, nil
		}
	}
	return t, err
}

// probed is the thread that the kernel's own word names.
func (s *Sampler) probed(ctx context.Context, c *Capture, probe []target.Range) (Thread, error) {
	var key []byte
	for i := range probe {
		if probe[i].N != len(probe[i].Data) {
			return Thread{}, nil // unreadable: not known
		}
		key = append(key, probe[i].Data...)
	}
	if t, ok := s.seen[string(key)]; ok {
		return t, nil
	}
	t, err := s.Threads.Thread(ctx, s.Machine, c.CPU, probe)
	if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
		return Thread{}, err
	}
	if errors.Is(err, target.ErrLapsed) {
		return Thread{}, nil // the next time
	}
	if err != nil {
		t = Thread{}
	}
	if len(s.seen) < maxThreads {
		s.seen[string(key)] = t
	}
	return t, nil
}
