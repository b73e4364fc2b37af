package ukdbg

import (
	"context"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
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
	// parked is where processors stand that the guest never started.
	parked map[parkedAt]profiler.Thread
}

// parkedAt is a program counter and a stack pointer that do not change as long as
// the guest leaves the processor to its firmware.
type parkedAt struct{ pc, sp uint64 }

// parkedThread stands for a processor the guest never started: its time is no work.
// It has no number, as no thread runs there.
func parkedThread(name string) profiler.Thread {
	return profiler.Thread{Name: name, Known: true, Idle: true}
}

// park notes a processor that names no thread while others do, and that executes
// nothing of the image.
func (t threadProbe) park(cpu target.CPU, regs *target.Regs) {
	if t.parked == nil || len(t.parked) > len(t.s.cpus) || len(t.slot) == 0 || regs.Arch == nil || t.s.knowsImageAt(regs.PC()) {
		return
	}
	t.parked[parkedAt{regs.PC(), regs.SP()}] = parkedThread(unikraft.NotStarted(cpu))
}

func (t threadProbe) Probe(cpu target.CPU, regs *target.Regs) []target.Range {
	addr, ok := t.slot[cpu]
	if !ok {
		t.park(cpu, regs)
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
		_ = t.stacks.list(ctx, t.s, t.parked)
	}
	return sampledThread(id, name), nil
}

// Owner is the thread on whose stack a sample's stack pointer lies, or what
// stands for a processor that was never started.
func (t threadProbe) Owner(regs *target.Regs) (profiler.Thread, bool) {
	if len(t.parked) > 0 && regs.Arch != nil {
		if by, ok := t.parked[parkedAt{regs.PC(), regs.SP()}]; ok {
			return by, true
		}
	}
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

// list reads the threads anew, and notes where processors stand that were never started.
func (t *threadStacks) list(ctx context.Context, s *Session, parked map[parkedAt]profiler.Thread) error {
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
		case th.Addr == 0:
			if th.Live && th.State == kernel.Idle && parked != nil {
				parked[parkedAt{th.Regs.PC(), sp}] = parkedThread(th.Name)
			}
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
