package ukdbg

import (
	"context"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
)

// currentThreads is the optional power of a kernel to tell from one word of
// memory which thread a processor runs.
type currentThreads interface {
	// CurrentSlots is the address of each processor's word.
	CurrentSlots(ctx context.Context) (map[target.CPU]uint64, error)
	// ThreadAt names the thread such a word points to.
	ThreadAt(ctx context.Context, addr uint64) (id int, name string, err error)
}

// threadProbe tells which scheduler thread a sample belongs to, by one word read
// in the same round trip as the stack.
//
// A guest that is not stopped has run on when that word is read, often out of its
// idle loop and into another thread. Its stack pointer came with its other
// registers, so there the thread is the one on whose stack that lies, if that is known.
type threadProbe struct {
	s    *Session
	k    currentThreads
	slot map[target.CPU]uint64
	// stacks are the threads' stacks, nil in a guest that is stopped for each sample.
	stacks *threadStacks
}

func (t threadProbe) Probe(cpu target.CPU, _ *target.Regs) []target.Range {
	addr, ok := t.slot[cpu]
	if !ok {
		return nil
	}
	return []target.Range{{Addr: addr, Data: make([]byte, 8)}}
}

func (t threadProbe) Thread(ctx context.Context, _ target.Memory, _ target.CPU, probe []target.Range) (profiler.Thread, error) {
	if len(probe) == 0 || probe[0].N < 8 {
		return profiler.Thread{}, nil
	}
	t.s.newEpoch() // the guest ran since anything was read
	id, name, err := t.k.ThreadAt(ctx, binary.LittleEndian.Uint64(probe[0].Data))
	if err != nil {
		return profiler.Thread{}, err
	}
	if t.stacks != nil && !t.stacks.knows(id) {
		// It came after the others were listed. What cannot be listed now is found by
		// the word alone.
		_ = t.stacks.list(ctx, t.s)
	}
	return sampledThread(id, name), nil
}

// Owner is the thread on whose stack a sample's stack pointer lies.
func (t threadProbe) Owner(regs *target.Regs) (profiler.Thread, bool) {
	if t.stacks == nil {
		return profiler.Thread{}, false
	}
	return t.stacks.owner(regs.SP())
}

func sampledThread(id int, name string) profiler.Thread {
	return profiler.Thread{ID: int64(id), Name: name, Known: true, Idle: name == "idle"}
}

// threadStacks tells whose stack an address lies on.
type threadStacks struct {
	known []threadStack
	// size is how large stacks are, which no structure tells: as far as any thread's
	// stack pointer is above the bottom of its stack, in whole pages.
	size uint64
	// boot is the one thread whose stack is the one the guest booted on: of that no
	// structure tells the place. at is where its stack pointer was.
	boot profiler.Thread
	at   uint64
}

// threadStack is a stack's lowest address and its thread.
type threadStack struct {
	low    uint64
	thread profiler.Thread
}

// list reads the threads anew.
func (t *threadStacks) list(ctx context.Context, s *Session) error {
	threads, err := s.Threads(ctx)
	if err != nil {
		return err
	}
	*t = threadStacks{known: t.known[:0]}
	placeless := 0
	for i := range threads {
		th := &threads[i]
		who := sampledThread(th.ID, th.Name)
		for _, low := range []uint64{th.Stack, th.AuxStack} {
			if low != 0 {
				t.known = append(t.known, threadStack{low, who})
			}
		}
		if th.RegsErr != nil {
			continue
		}
		sp := th.Regs.SP()
		switch {
		case th.Stack == 0:
			placeless++
			t.boot, t.at = who, sp
		case sp >= th.Stack && sp-th.Stack < maxThreadStack:
			t.size = max(t.size, sp-th.Stack)
		}
	}
	if placeless != 1 {
		t.boot = profiler.Thread{}
	}
	const page = 4096
	t.size = (t.size + page - 1) &^ (page - 1)
	return nil
}

func (t *threadStacks) knows(id int) bool {
	for i := range t.known {
		if t.known[i].thread.ID == int64(id) {
			return true
		}
	}
	return t.boot.Known && t.boot.ID == int64(id)
}

func (t *threadStacks) owner(sp uint64) (profiler.Thread, bool) {
	best := -1
	for i := range t.known {
		low := t.known[i].low
		if sp >= low && sp-low < t.size && (best < 0 || low > t.known[best].low) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return t.known[best].thread, true
	case t.boot.Known && (sp >= t.at && sp-t.at < t.size || sp < t.at && t.at-sp < t.size):
		return t.boot, true
	}
	return profiler.Thread{}, false
}
