package ukdbg

import (
	"testing"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

func TestThreadStacks(t *testing.T) {
	worker, idle, boot := sampledThread(1, "worker"), sampledThread(2, "idle"), sampledThread(3, "init")
	stacks := threadStacks{
		known: []threadStack{{0x40000, worker}, {0x80000, worker}, {0x48000, idle}},
		size:  0x10000, boot: boot, at: 0x20938,
	}
	for sp, want := range map[uint64]profiler.Thread{
		0x40000: worker, 0x47fff: worker, // its lowest and the last that is not nearer to the next stack's bottom
		0x48000: idle, 0x57fff: idle,
		0x88000: worker, // its further stack
		0x20938: boot, 0x18000: boot, 0x30000: boot,
		0x10938: {}, 0x30938: {}, 0x3ffff: {}, 0x58000: {}, 0: {},
	} {
		got, ok := stacks.owner(sp)
		if got != want || ok != want.Known {
			t.Errorf("the stack pointer %#x is %q's (%v), want %q's", sp, got.Name, ok, want.Name)
		}
	}
	if !idle.Idle || worker.Idle {
		t.Error("which thread idles is not told by its name")
	}
	stacks.boot = profiler.Thread{}
	if got, ok := stacks.owner(0x20938); ok {
		t.Errorf("where more than one stack's place is not known, one is %q's", got.Name)
	}
}

// The time of a processor that was never started is no work: it names no thread
// while others do, and stands in no image.
func TestParked(t *testing.T) {
	s := &Session{cpus: []target.CPU{0, 1}}
	p := threadProbe{s: s, slot: map[target.CPU]uint64{0: 0x1000}, parked: map[parkedAt]profiler.Thread{}}
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86_64.PC, 0xfd09a)
	regs.Set(arch.X86_64.SP, 0x6c5c)
	if by, ok := p.Owner(&regs); ok {
		t.Errorf("before it was probed it is %+v", by)
	}
	if got := p.Probe(0, &regs); len(got) != 1 || len(p.parked) != 0 {
		t.Errorf("a processor with a thread probes %v, parked are %v", got, p.parked)
	}
	if got := p.Probe(1, &regs); got != nil {
		t.Errorf("a processor without a thread probes %v", got)
	}
	if by, ok := p.Owner(&regs); !ok || !by.Idle || by.Name != "(CPU 1, not started)" {
		t.Errorf("parked is %+v (%v)", by, ok)
	}
	regs.Set(arch.X86_64.PC, 0xfd0a0)
	if by, ok := p.Owner(&regs); ok {
		t.Errorf("one that moved is %+v", by)
	}
	// Where no processor's thread is known, that this one's is not tells nothing.
	blind := threadProbe{s: s, parked: map[parkedAt]profiler.Thread{}}
	blind.Probe(1, &regs)
	if len(blind.parked) != 0 {
		t.Errorf("parked without any known thread: %v", blind.parked)
	}
}
