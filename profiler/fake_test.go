package profiler

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// fakeGuest is a guest whose processors run functions in turn, by wall time. It
// fails the test's expectations when it is read while it runs.
type fakeGuest struct {
	mu      sync.Mutex
	running bool
	begin   time.Time
	stopAt  time.Time
	cpus    int
	// schedule says which pc and thread runs on a CPU at a time since begin.
	schedule func(cpu target.CPU, since time.Duration) (pc, thread uint64)
	// stopCost is how long each register read takes.
	readCost time.Duration
	// hiccup is what a register read takes more, nil for nothing; reads counts them.
	hiccup func(read int) time.Duration
	reads  int
	depth  int // words of return addresses on each stack

	readWhileRunning int
	stops, resumes   int
	stopErr          error
	foreign          *target.Stop // the stop the guest comes to by itself at the next look
}

const (
	fakeStack  = 0x10000
	fakeThread = 0x500000 // current thread pointer, 8 bytes for each CPU
	fakeNames  = 0x600000
)

func newFake(schedule func(target.CPU, time.Duration) (uint64, uint64)) *fakeGuest {
	return &fakeGuest{running: true, begin: time.Now(), cpus: 1, schedule: schedule, depth: 4}
}

func (g *fakeGuest) Running() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.running }

func (g *fakeGuest) Stop(context.Context) (target.Stop, time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopErr != nil {
		return target.Stop{}, time.Time{}, g.stopErr
	}
	g.running = false
	g.stopAt = time.Now()
	if g.foreign != nil {
		return *g.foreign, g.stopAt, nil
	}
	g.stops++
	return target.Stop{Reason: target.StopInterrupt, Signal: 2}, g.stopAt, nil
}

func (g *fakeGuest) Resume(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = true
	g.resumes++
	return nil
}

func (g *fakeGuest) CPUs(context.Context) ([]target.CPU, error) {
	var all []target.CPU
	for i := range g.cpus {
		all = append(all, target.CPU(i))
	}
	return all, nil
}

func (g *fakeGuest) now(cpu target.CPU) (pc, thread uint64) {
	return g.schedule(cpu, g.stopAt.Sub(g.begin))
}

func (g *fakeGuest) ReadRegisters(_ context.Context, cpu target.CPU) (target.Regs, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running {
		g.readWhileRunning++
	}
	time.Sleep(g.readCost)
	if g.reads++; g.hiccup != nil {
		time.Sleep(g.hiccup(g.reads))
	}
	r := target.NewRegs(arch.X86_64)
	pc, _ := g.now(cpu)
	r.Set(arch.X86RIP, pc)
	r.Set(arch.X86RSP, fakeStack)
	return r, nil
}

// ReadMemory has a stack of return addresses 0x9000, 0x9001… ended by 0, the
// current thread of each CPU, and their names.
func (g *fakeGuest) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running {
		g.readWhileRunning++
	}
	word := func(a uint64) (uint64, bool) {
		switch {
		case a >= fakeStack && a < fakeStack+64<<10:
			i := (a - fakeStack) / 8
			if i < uint64(g.depth) {
				return 0x9000 + i, true
			}
			return 0, true
		case a >= fakeThread && a < fakeThread+64:
			_, th := g.now(target.CPU((a - fakeThread) / 8))
			return th, true
		}
		return 0, false
	}
	for i := range p {
		w, ok := word((addr + uint64(i)) &^ 7)
		if !ok {
			return i, &target.FaultError{Addr: addr + uint64(i)}
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], w)
		p[i] = b[(addr+uint64(i))%8]
	}
	return len(p), nil
}

// walk unwinds the fake stack: the pc, then return addresses up to a 0.
func walk(ctx context.Context, mem target.Memory, regs target.Regs) ([]Call, error) {
	calls := []Call{{Addr: regs.PC()}}
	for sp := regs.SP(); ; sp += 8 {
		ret, err := target.ReadUint(ctx, mem, sp, 8)
		if err != nil || ret == 0 {
			return calls, err
		}
		calls = append(calls, Call{Addr: ret - 1})
	}
}

// fakeThreads names threads by the pointer read.
type fakeThreads struct {
	mu    sync.Mutex
	asked int
	owner func(sp uint64) (Thread, bool)
}

// Owner is nobody unless the test says so.
func (f *fakeThreads) Owner(regs *target.Regs) (Thread, bool) {
	if f.owner == nil {
		return Thread{}, false
	}
	return f.owner(regs.SP())
}

func (f *fakeThreads) Probe(cpu target.CPU, _ *target.Regs) []target.Range {
	return []target.Range{{Addr: fakeThread + 8*uint64(cpu), Data: make([]byte, 8)}}
}

func (f *fakeThreads) Thread(_ context.Context, _ target.Memory, _ target.CPU, probe []target.Range) (Thread, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	id := int64(binary.LittleEndian.Uint64(probe[0].Data))
	return Thread{ID: id, Name: map[int64]string{1: "main", 2: "worker"}[id], Known: true}, nil
}
