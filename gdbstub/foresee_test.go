package gdbstub

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// rsp is the offset of the stack pointer in the models' g packet.
const rsp = 7 * 8

// sampled is a scripted guest that is stopped again and again to read its registers
// and what lies behind them.
type sampled struct {
	t *testing.T
	s *stubtest.Stub
	c *Client
}

func sample(t *testing.T) sampled {
	s := stubtest.QEMU()
	return sampled{t, s, dial(t, s, Options{})}
}

// stop lets the guest run and stops it, with its stack pointer at sp.
func (g sampled) stop(sp uint64) {
	g.t.Helper()
	must(g.t, g.c.Resume(bg))
	running(g.t, g.s)
	g.s.Do(func() { binary.LittleEndian.PutUint64(g.s.Regs[rsp:], sp) })
	must(g.t, g.c.Interrupt(bg))
	if e := <-g.c.Events(); e.Kind != target.EventStopped {
		g.t.Fatalf("%+v", e)
	}
}

// look reads the registers, n bytes of the stack and a word elsewhere, checks them
// all, and returns how many flights it took and the reads that were asked for.
func (g sampled) look(n int) (flights uint64, reads []string) {
	g.t.Helper()
	before, sent := g.c.Stats().Flights, len(g.s.Got())
	regs, err := g.c.ReadAllRegisters(bg)
	must(g.t, err)
	r := []target.Range{
		{Addr: regs[0].SP(), Data: make([]byte, n)},
		{Addr: stubtest.Base + 0x8008, Data: make([]byte, 8)},
	}
	must(g.t, g.c.ReadMany(bg, r))
	g.s.Do(func() {
		for _, r := range r {
			off := r.Addr - stubtest.Base
			want := g.s.Mem[min(off, uint64(len(g.s.Mem))):min(off+uint64(len(r.Data)), uint64(len(g.s.Mem)))]
			if string(r.Data[:r.N]) != string(want) || r.N < len(r.Data) && r.Err == nil {
				g.t.Errorf("%#x: %d of %d bytes, %v", r.Addr, r.N, len(r.Data), r.Err)
			}
		}
	})
	for _, p := range g.s.Got()[sent:] {
		if strings.HasPrefix(p, "m") {
			reads = append(reads, p)
		}
	}
	return g.c.Stats().Flights - before, reads
}

// A stop that is like the last one takes one flight: registers and stacks together.
// What is elsewhere is read behind them, and only that.
func TestStopInOneFlight(t *testing.T) {
	g := sample(t)
	const sp = stubtest.Base + 0x2f00
	g.stop(sp)
	_, err := g.c.ReadAllRegisters(bg) // how far the stub's g goes
	must(t, err)
	for i, c := range []struct {
		sp      uint64
		n       int
		flights uint64
		reads   string // those of the second flight
	}{
		{sp, 256, 2, "m102f00,100 m108008,8"},
		{sp, 256, 1, ""},
		{sp - 64, 256, 1, ""},               // some calls deeper
		{sp - 64, 320, 1, ""},               // more of what came
		{sp - 0x800, 256, 2, "m102700,100"}, // elsewhere
		{sp - 0x800, 256, 1, ""},
		{sp - 0x7d0, 256, 1, ""},
		{sp - 0x6c0, 256, 2, "m102900,40"}, // beyond the last read
		{stubtest.Base + 0x6010, 256, 2, "m106010,100"},
		{stubtest.Base + 0xff80, 256, 2, "m10ff80,80 m110000,80"}, // the end of memory
		{stubtest.Base + 0xff80, 256, 2, "m110000,80"},
	} {
		g.stop(c.sp)
		g.s.Do(func() { g.s.Mem[c.sp-stubtest.Base] = byte(i) }) // what came last time is not what is there
		flights, reads := g.look(c.n)
		behind := ""
		if c.flights > 1 {
			behind = c.reads
		}
		if flights != c.flights || !strings.HasSuffix(strings.Join(reads, " "), behind) {
			t.Errorf("%d: %d flights, want %d; read %v, want %s at the end", i, flights, c.flights, reads, behind)
		}
	}
}

// What came with the registers is for the next read of the same stop, and for no
// other: a write, a breakpoint, another read end it.
func TestForeseenOnce(t *testing.T) {
	const sp = stubtest.Base + 0x2f00
	for name, between := range map[string]func(g sampled){
		"write": func(g sampled) {
			must(t, g.c.WriteMemory(bg, []byte{0xaa}, sp))
		},
		"breakpoint": func(g sampled) {
			must(t, g.c.Insert(bg, target.Breakpoint{Addr: sp + 0x10}))
		},
		"read": func(g sampled) {
			_, err := g.c.ReadRegisters(bg, 0)
			must(t, err)
		},
		"the next stop": func(g sampled) { g.stop(sp) },
	} {
		t.Run(name, func(t *testing.T) {
			g := sample(t)
			g.stop(sp)
			for range 2 {
				g.look(256)
			}
			g.stop(sp)
			_, err := g.c.ReadAllRegisters(bg)
			must(t, err)
			between(g)
			before := g.c.Stats().Flights
			p := make([]byte, 256)
			must(t, target.ReadFull(bg, g.c, p, sp))
			if g.c.Stats().Flights == before {
				t.Error("it was answered from what came before")
			}
			if name == "write" && p[0] != 0xaa {
				t.Error("not what was written")
			}
		})
	}
	// And nothing of it is for a guest that runs.
	g := sample(t)
	g.stop(sp)
	g.look(256)
	g.stop(sp)
	_, err := g.c.ReadAllRegisters(bg)
	must(t, err)
	must(t, g.c.Resume(bg))
	running(t, g.s)
	if _, err := g.c.ReadMemory(bg, make([]byte, 256), sp); err == nil {
		t.Error("a guest that runs was read")
	}
}
