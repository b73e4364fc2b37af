package profiler

import "hash/maphash"

// maxMemo bounds the stacks remembered.
const maxMemo = 16 << 10

// memo remembers unwound stacks by all that unwinding saw: registers and copied
// bytes. A thread that waits, and a processor that idles, looks the same at every
// sample.
type memo struct {
	seed   maphash.Seed
	stacks map[uint64][]Call
}

func newMemo() memo { return memo{seed: maphash.MakeSeed(), stacks: map[uint64][]Call{}} }

func (m *memo) key(c *Capture) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	maphash.WriteComparable(&h, c.Regs)
	for i := range c.stack {
		r := &c.stack[i]
		maphash.WriteComparable(&h, r.Addr)
		maphash.WriteComparable(&h, r.N)
		h.Write(r.Data[:r.N])
	}
	return h.Sum64()
}

func (m *memo) keep(key uint64, calls []Call) {
	if len(m.stacks) >= maxMemo {
		clear(m.stacks)
	}
	m.stacks[key] = calls
}
