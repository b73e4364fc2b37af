package profiler

import (
	"context"
	"encoding/binary"
	"errors"
	"sort"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// maxStacks bounds how many distinct stacks a profile holds; maxDepth how deep
// each may be. Beyond them samples are kept by their innermost frame only.
const (
	maxStacks = 100_000
	maxDepth  = 512
)

// Call is one physical frame of an unwound stack.
type Call struct {
	// Addr is the address to look up: see Frame.Address.
	Addr uint64
	// Guessed says that the frame was found by scanning.
	Guessed bool
}

// Unwind returns the stack of a capture, innermost first; regs are the
// processor's, mem is the copy of its stack. An error ends the stack, what was
// found is used; ErrTorn says that more would have been found.
type Unwind func(ctx context.Context, mem target.Memory, regs target.Regs) ([]Call, error)

// ErrTorn says that a stack changed while it was read, and is cut where it stops
// making sense.
var ErrTorn = errors.New("the stack changed while it was read")

// Symbolize returns the functions at an address, innermost inlined first and
// the physical one last. It is called once for each address.
type Symbolize func(addr uint64) []Frame

// bucket is one distinct stack.
type bucket struct {
	calls     []Call
	thread    Thread
	cpu       target.CPU
	truncated bool
	state     string
	count     int64
}

// aggregate counts samples by stack.
type aggregate struct {
	buckets map[string]*bucket
	order   []*bucket
	key     []byte
	folded  int64 // samples kept by their innermost frame only
	lost    int64 // samples that fell into the bucket of all others
}

func newAggregate() *aggregate { return &aggregate{buckets: map[string]*bucket{}} }

func (a *aggregate) add(c *Capture, calls []Call, truncated bool) {
	if len(calls) > maxDepth {
		calls, truncated = calls[:maxDepth], true
	}
	if a.count(c, calls, truncated, maxStacks) {
		return
	}
	a.folded++
	if a.count(c, calls[:min(len(calls), 1)], true, 2*maxStacks) {
		return
	}
	a.lost++
	a.count(&Capture{CPU: c.CPU}, nil, true, 3*maxStacks)
}

// count adds one sample to its bucket, and reports false if that would make
// more than limit buckets.
func (a *aggregate) count(c *Capture, calls []Call, truncated bool, limit int) bool {
	k := a.key[:0]
	for _, call := range calls {
		k = binary.LittleEndian.AppendUint64(k, call.Addr)
		k = append(k, flag(call.Guessed))
	}
	k = append(k, flag(truncated), flag(c.Thread.Known))
	k = binary.LittleEndian.AppendUint64(k, uint64(c.Thread.ID))
	k = binary.LittleEndian.AppendUint64(k, uint64(c.CPU))
	k = append(k, c.State...)
	k = append(k, 0)
	k = append(k, c.Thread.Name...)
	a.key = k
	b := a.buckets[string(k)]
	if b == nil {
		if len(a.order) >= limit {
			return false
		}
		b = &bucket{calls: append([]Call(nil), calls...), thread: c.Thread, cpu: c.CPU, truncated: truncated, state: c.State}
		a.buckets[string(k)] = b
		a.order = append(a.order, b)
	}
	b.count++
	return true
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// samples names every address and returns the samples, most frequent first.
func (a *aggregate) samples(symbolize Symbolize, period time.Duration) []Sample {
	named := map[uint64][]Frame{}
	lookup := func(addr uint64) []Frame {
		fs, ok := named[addr]
		if !ok {
			if symbolize != nil {
				fs = symbolize(addr)
			}
			if len(fs) == 0 {
				fs = []Frame{{}}
			}
			// Whatever the caller filled in, frames of one address share it and
			// only the last is a call of its own.
			for i := range fs {
				fs[i].Address = addr
				fs[i].Inline = i < len(fs)-1
			}
			named[addr] = fs
		}
		return fs
	}
	out := make([]Sample, 0, len(a.order))
	for _, b := range a.order {
		s := Sample{
			Thread: b.thread, CPU: b.cpu, Count: b.count, Truncated: b.truncated,
			Value: b.count * period.Nanoseconds(), State: b.state,
		}
		for _, call := range b.calls {
			for _, f := range lookup(call.Addr) {
				f.Guessed = call.Guessed
				s.Stack = append(s.Stack, f)
			}
		}
		out = append(out, s)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Count > out[j].Count })
	return out
}
