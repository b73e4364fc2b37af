package ukdbg

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// runner is a guest that runs: each batch of reads is a step of its life, in
// which it changes what change says.
type runner struct {
	mem     map[uint64][]byte // by page
	batches int
	change  func(r *runner)
	pc      uint64
	regs    int
}

func newRunner(pages ...uint64) *runner {
	r := &runner{mem: map[uint64][]byte{}}
	for _, p := range pages {
		r.mem[p] = make([]byte, viewPage)
	}
	return r
}

func (r *runner) word(addr uint64) uint64 {
	return binary.LittleEndian.Uint64(r.mem[addr/viewPage][addr%viewPage:])
}
func (r *runner) put(addr, v uint64) {
	binary.LittleEndian.PutUint64(r.mem[addr/viewPage][addr%viewPage:], v)
}

func (r *runner) ReadMany(_ context.Context, ranges []target.Range) error {
	r.batches++
	for i := range ranges {
		g := &ranges[i]
		g.N, g.Err = 0, nil
		page := r.mem[g.Addr/viewPage]
		if page == nil {
			g.Err = &target.FaultError{Addr: g.Addr, Why: "not resident"}
			continue
		}
		if g.N = copy(g.Data, page[g.Addr%viewPage:]); g.N < len(g.Data) {
			g.Err = &target.FaultError{Addr: g.Addr + uint64(g.N)}
		}
	}
	if r.change != nil {
		r.change(r)
	}
	return nil
}

func (r *runner) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	g := []target.Range{{Addr: addr, Data: p}}
	err := errors.Join(r.ReadMany(ctx, g), g[0].Err)
	return g[0].N, err
}

func (r *runner) CPUs(context.Context) ([]target.CPU, error) { return []target.CPU{0}, nil }
func (r *runner) ReadRegisters(context.Context, target.CPU) (target.Regs, error) {
	r.regs++
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86RIP, r.pc)
	return regs, nil
}
func (r *runner) Physical() target.Memory            { return r }
func (r *runner) Forget()                            {}
func (r *runner) Arch() *arch.Arch                   { return arch.X86_64 }
func (r *runner) Status() string                     { return "running" }
func (r *runner) Cost() monitorCost                  { return monitorCost{} }
func (r *runner) MonitorSocket() (qmp.Monitor, bool) { return qmp.Monitor{}, false }
func (r *runner) Stubs() []string                    { return nil }
func (r *runner) Hints() []uint64                    { return nil }
func (r *runner) Close() error                       { return nil }

func observing(r *runner) *Session {
	s := &Session{observer: r, machine: newProcessors(r), view: newView(r), epoch: 1, stacks: map[threadKey]stack{}}
	s.mem = s.view
	return s
}

// walkList follows a list of words from 0x1000: next pointers, ended by 0; it
// returns how many nodes there are.
func walkList(t *testing.T, s *Session) (nodes int, err error) {
	addr := uint64(0x1000)
	for ; addr != 0; nodes++ {
		if nodes > 10 {
			t.Fatal("the list runs in a circle")
		}
		if addr, err = target.ReadUint(t.Context(), s.mem, addr, 8); err != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

// TestSettle: what a guest changes now and then is read at one moment in the end;
// a walk that would have mixed two states does not.
func TestSettle(t *testing.T) {
	r := newRunner(1, 2, 3, 4)
	// 0x1000 → 0x2000 → 0x3000 → 0, or 0x1000 → 0x4000 → 0: two nodes or three.
	long := func() { r.put(0x1000, 0x2000); r.put(0x2000, 0x3000); r.put(0x3000, 0); r.put(0x4000, 0xdead0000) }
	short := func() { r.put(0x1000, 0x4000); r.put(0x2000, 0xdead0000); r.put(0x3000, 0xdead0000); r.put(0x4000, 0) }
	long()
	r.change = func(r *runner) {
		if r.batches > 6 {
			return // it comes to rest
		}
		if r.batches%2 == 0 {
			long()
		} else {
			short()
		}
	}
	s := observing(r)
	var nodes int
	err := s.settle(t.Context(), func() (err error) { nodes, err = walkList(t, s); return err })
	if want := map[bool]int{true: 3, false: 2}[r.word(0x1000) == 0x2000]; err != nil || nodes != want || s.torn != "" {
		t.Errorf("%d nodes, want %d; torn %q, %v", nodes, want, s.torn, err)
	}
	// Again, of a guest that never rests: told, and not for ever.
	r.batches, r.change = 0, func(r *runner) { r.put(0x1000+8, uint64(r.batches)) }
	s.newEpoch()
	tries := 0
	err = s.settle(t.Context(), func() error {
		tries++
		b := make([]byte, 64)
		return target.ReadFull(t.Context(), s.mem, b, 0x1000)
	})
	if err != nil || !strings.Contains(s.torn, "changed while read: 1 of 1 places") || tries != settleTries+1 {
		t.Errorf("torn %q after %d tries, %v", s.torn, tries, err)
	}
	// What changes beside what is used does not matter.
	s.newEpoch()
	tries = 0
	err = s.settle(t.Context(), func() error { tries++; _, err := walkList(t, s); return err })
	if err != nil || s.torn != "" || tries != 2 {
		t.Errorf("torn %q after %d tries, %v", s.torn, tries, err)
	}
}

// TestSettleRuns: a processor that runs on is read again some times, then told.
func TestSettleRuns(t *testing.T) {
	r := newRunner(1)
	r.change = func(r *runner) { r.pc++ }
	s := observing(r)
	walk := func() error {
		if _, err := s.machine.ReadRegisters(t.Context(), 0); err != nil {
			return err
		}
		_, err := walkList(t, s)
		return err
	}
	if err := s.settle(t.Context(), walk); err != nil || !s.ran {
		t.Errorf("ran %v, %v", s.ran, err)
	}
	if r.regs > runTries+2 {
		t.Errorf("registers were read %d times", r.regs)
	}
	r.change = nil
	s.newEpoch()
	if err := s.settle(t.Context(), walk); err != nil || s.ran {
		t.Errorf("a guest at rest: ran %v, %v", s.ran, err)
	}
}

// TestSteadily: a word is whole whatever the guest does; more of a value may be
// torn, and is told.
func TestSteadily(t *testing.T) {
	r := newRunner(1)
	r.change = func(r *runner) { r.put(0x1000, r.word(0x1000)+1<<32+1) }
	s := observing(r)
	for _, c := range []struct {
		addr uint64
		size int
		torn bool
	}{{0x1000, 8, false}, {0x1000, 16, true}, {0x1004, 8, true}, {0x1010, 16, false}} {
		s.newEpoch()
		torn, err := s.steadily(func() error { return target.ReadFull(t.Context(), s.mem, make([]byte, c.size), c.addr) })
		if err != nil || torn != c.torn {
			t.Errorf("%d bytes at %#x: torn %v, %v", c.size, c.addr, torn, err)
		}
	}
}

// TestViewHoles: a page that is not there is told as such, with the address
// asked for, and what is before it is read.
func TestViewHoles(t *testing.T) {
	s := observing(newRunner(1, 3))
	b := make([]byte, 2*viewPage)
	n, err := s.mem.ReadMemory(t.Context(), b, 0x1800)
	var f *target.FaultError
	if n != 0x800 || !errors.As(err, &f) || f.Addr != 0x2000 || f.Why != "not resident" {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := s.mem.ReadMemory(t.Context(), b[:8], 0x2abc); !errors.As(err, &f) || f.Addr != 0x2abc {
		t.Errorf("%v", err)
	}
	long := make([]byte, 100*viewPage)
	if n, err := s.mem.ReadMemory(t.Context(), long, 0x3000); n != viewPage || err == nil {
		t.Errorf("a long read: %d bytes, %v", n, err)
	}
}
