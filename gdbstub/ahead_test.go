package gdbstub

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// halt lets the guest run and stops it as a profile does, with its stack pointer at
// sp. It returns what the stop was and the requests that came with it.
func (g sampled) halt(sp uint64) (target.Event, []string) {
	g.t.Helper()
	must(g.t, g.c.Resume(bg))
	running(g.t, g.s)
	g.s.Do(func() {
		binary.LittleEndian.PutUint64(g.s.Regs[rsp:], sp)
		g.s.Mem[sp-stubtest.Base]++ // what came last time is not what is there
	})
	sent := len(g.s.Got())
	e, err := g.c.Halt(bg)
	if err != nil || e.Kind != target.EventStopped {
		g.t.Fatalf("%+v, %v", e, err)
	}
	return e, g.s.Got()[sent:]
}

// TestAskedAhead: what the last stop was read for is asked together with the next
// stop, and nothing is left to ask where it is the same.
func TestAskedAhead(t *testing.T) {
	g := sample(t)
	const sp = stubtest.Base + 0x2f00
	g.stop(sp)
	g.c.Sampling(true)
	g.halt(sp)
	for range 2 { // how far the stub's g goes, and what is read behind
		g.look(256)
	}
	for i := range steadyStops - 2 { // later ones are glimpses
		sp := uint64(sp - 8*uint64(i%4))
		if e, _ := g.halt(sp); e.Stop.Reason != target.StopInterrupt {
			t.Fatalf("%+v", e)
		}
		if flights, reads := g.look(256); flights != 0 {
			t.Fatalf("%d: %d flights behind the stop, %v", i, flights, reads)
		}
	}
	// Elsewhere: what came is of no use.
	g.halt(sp - 0x800)
	if flights, reads := g.look(256); flights != 1 || !strings.HasSuffix(strings.Join(reads, " "), "m102700,100") {
		t.Errorf("%d flights, %v", flights, reads)
	}
	// In a stop that was not read for registers nothing is asked ahead of the next.
	g.halt(sp)
	must(t, target.ReadFull(bg, g.c, make([]byte, 64), sp))
	if _, asked := g.halt(sp); len(asked) > 0 {
		t.Errorf("asked ahead: %v", asked)
	}
	g.c.Sampling(false)
	if _, err := g.c.Leave(bg); err != nil {
		t.Error(err)
	}
}

// What was asked ahead serves the registers of that stop alone: who wants something
// else gets that, and the stream stays in step.
func TestAskedAheadForNobody(t *testing.T) {
	const sp = stubtest.Base + 0x2f00
	for name, what := range map[string]func(g sampled){
		"memory": func(g sampled) {
			p := make([]byte, 256)
			g.s.Do(func() { g.s.Mem[sp-stubtest.Base] = 0xaa })
			must(g.t, target.ReadFull(bg, g.c, p, sp))
			if p[0] != 0xaa || p[1] != stubtest.Byte(sp+1) {
				g.t.Errorf("% x", p[:2])
			}
		},
		"one processor's registers": func(g sampled) {
			if r, err := g.c.ReadRegisters(bg, 0); err != nil || r.SP() != sp {
				g.t.Errorf("%#x, %v", r.SP(), err)
			}
		},
		"nothing": func(g sampled) {},
		"leaving": func(g sampled) {
			if f, err := g.c.Leave(bg); err != nil || !f.Running {
				g.t.Errorf("%+v, %v", f, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := sample(t)
			g.stop(sp)
			g.c.Sampling(true)
			g.halt(sp)
			for range 2 {
				g.look(256)
			}
			g.halt(sp)
			what(g)
			if name == "leaving" {
				running(t, g.s)
				return
			}
			g.halt(sp - 0x10)
			g.look(256)
		})
	}
}

// TestAheadOfAnothersStop: a guest that stands at a breakpoint by the time it is asked
// to stop answers what came with that, and the stop is told as what it is.
func TestAheadOfAnothersStop(t *testing.T) {
	const sp = stubtest.Base + 0x2f00
	g := sample(t)
	g.stop(sp)
	g.c.Sampling(true)
	g.halt(sp)
	for range 2 {
		g.look(256)
	}
	must(t, g.c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	g.halt(sp)
	_, err := g.c.ReadAllRegisters(bg)
	must(t, err)
	must(t, g.c.Resume(bg))
	running(t, g.s)
	g.s.Stop("T05thread:p01.01;")
	e, err := g.c.Halt(bg)
	if err != nil || e.Kind != target.EventStopped || e.Stop.Reason != target.StopBreakpoint {
		t.Fatalf("%+v, %v", e, err)
	}
	if r, err := g.c.ReadAllRegisters(bg); err != nil || r[0].SP() != sp {
		t.Errorf("%v", err)
	}
	var runs bool
	if g.s.Do(func() { runs = g.s.Running }); runs {
		t.Error("a guest that stands for another reason was let run")
	}
}

// TestRest: what QEMU says to an order to run is taken when it comes, also by who reads
// the link himself, and not with the next stop.
func TestRest(t *testing.T) {
	const sp = stubtest.Base + 0x2f00
	g := sample(t)
	g.stop(sp)
	taken := func() bool {
		g.c.mu.Lock()
		defer g.c.mu.Unlock()
		return g.c.run.taken
	}
	must(t, g.c.Resume(bg))
	g.c.Sampling(true)
	if running(t, g.s); !taken() {
		t.Error("the order before sampling is not known to be taken")
	}
	for range 5 {
		if _, err := g.c.Halt(bg); err != nil {
			t.Fatal(err)
		}
		must(t, g.c.Resume(bg))
		g.c.Rest(bg)
		if !taken() {
			t.Error("the order is not known to be taken")
		}
	}
	if s := g.c.Stats(); s.Latest == 0 || s.Latest > time.Second {
		t.Errorf("the longest stop with the way back took %v", s.Latest)
	}
	if _, err := g.c.Halt(bg); err != nil {
		t.Fatal(err)
	}
	g.c.Rest(bg) // of a guest that stands: nothing
}

// TestHaltAfterAnothersStop: who stopped the guest between two samples finds it so: the
// stop was told before ours was asked for, though nobody had read it.
func TestHaltAfterAnothersStop(t *testing.T) {
	const sp = stubtest.Base + 0x2f00
	g := sample(t)
	g.stop(sp)
	g.c.Sampling(true)
	for range 3 {
		g.halt(sp)
		g.look(256)
	}
	must(t, g.c.Resume(bg))
	running(t, g.s)
	g.c.Rest(bg)
	g.s.Stop("T02thread:p01.01;")
	time.Sleep(20 * time.Millisecond)
	e, err := g.c.Halt(bg)
	if err != nil || e.Kind != target.EventStopped || e.Stop.Reason != target.StopForeign {
		t.Fatalf("%+v, %v", e, err)
	}
	if g.c.Stands() {
		t.Error("the stop is taken for ours")
	}
	g.c.Sampling(false)
	if f, err := g.c.Leave(bg); err != nil || f.Running {
		t.Errorf("%+v, %v", f, err)
	}
	g.s.Do(func() {
		if g.s.Running {
			t.Error("somebody else's stop was undone")
		}
	})
}
