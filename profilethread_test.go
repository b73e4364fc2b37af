package ukdbg

import (
	"testing"

	"github.com/ukdbg/ukdbg/profiler"
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
