package gdbstub

import (
	"errors"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

const glimpseSP = stubtest.Base + 0x2f00

// steady is a guest of which the next stop is a glimpse.
func steady(t *testing.T) sampled {
	t.Helper()
	g := sample(t)
	g.stop(glimpseSP)
	g.c.Sampling(true)
	for range steadyStops + 3 { // the first shows how far g goes, the second what is read
		g.halt(glimpseSP)
		g.look(256)
	}
	return g
}

func (g sampled) runs() (r bool) {
	g.s.Do(func() { r = g.s.Running })
	return r
}

// A stop like those before it ends by itself: the guest runs when its answers are read,
// and nothing more is sent.
func TestGlimpse(t *testing.T) {
	g := steady(t)
	before := g.c.Stats()
	for i := range 20 {
		e, sent := g.halt(glimpseSP - 8*uint64(i%4))
		if e.Stop.Reason != target.StopInterrupt || len(sent) == 0 || sent[len(sent)-1] != "vCont;c" || !g.runs() {
			t.Fatalf("%d: %+v after %v, running %v", i, e, sent, g.runs())
		}
		if g.c.Stands() {
			t.Error("the guest is said to stand")
		}
		if flights, reads := g.look(256); flights != 0 || len(g.s.Got()) == 0 || !g.runs() {
			t.Fatalf("%d: %d flights, %v, running %v", i, flights, reads, g.runs())
		}
	}
	if s := g.c.Stats(); s.Stops != before.Stops+20 || s.Resumes != before.Resumes+20 || s.Lapsed != before.Lapsed {
		t.Errorf("%+v after %+v", s, before)
	}
	must(t, g.c.Resume(bg))
	g.c.Sampling(false)
	if f, err := g.c.Leave(bg); err != nil || !f.Running || !g.runs() {
		t.Errorf("%+v, %v", f, err)
	}
}

// What was not foreseen is not asked of a guest that runs: that would stop it. The
// stops after that are ordinary ones, and see it.
func TestGlimpseOfTooLittle(t *testing.T) {
	g := steady(t)
	_, sent := g.halt(glimpseSP - 0x800)
	regs, err := g.c.ReadAllRegisters(bg)
	if err != nil || regs[0].SP() != glimpseSP-0x800 {
		t.Fatalf("%+v, %v", regs, err)
	}
	stack := target.Range{Addr: regs[0].SP(), Data: make([]byte, 256)}
	if err := g.c.ReadMany(bg, []target.Range{stack}); !errors.Is(err, target.ErrLapsed) {
		t.Errorf("%v", err)
	}
	if n := len(g.s.Got()); !g.runs() || !slices.Contains(sent, "vCont;c") {
		t.Errorf("running %v after %d packets", g.runs(), n)
	}
	// Both stacks are foreseen now, and only so many ordinary stops later there are
	// glimpses again.
	for i := range 2*steadyStops + 8 {
		_, sent := g.halt(glimpseSP - 0x800*uint64(i%2))
		if glimpse := slices.Contains(sent, "vCont;c"); glimpse && i < 2*steadyStops || !glimpse && i > 2*steadyStops+2 {
			t.Errorf("%d: a glimpse %v", i, glimpse)
		}
		g.look(256)
	}
	// A thing of its own, as a thread's name.
	g.halt(glimpseSP)
	g.look(256)
	if err := target.ReadFull(bg, g.c, make([]byte, 8), stubtest.Base); !errors.Is(err, target.ErrLapsed) || !g.runs() {
		t.Errorf("%v, running %v", err, g.runs())
	}
	if _, sent := g.halt(glimpseSP); slices.Contains(sent, "vCont;c") {
		t.Error("something was missed, and the next stop is a glimpse")
	}
}

// A stop that somebody else made just before ours stands, ordinary or glimpse, told as
// an interrupt, as something else, or not told.
func TestForestalled(t *testing.T) {
	for _, text := range []string{"T02thread:p01.01;", "T1athread:p01.01;", "T18thread:p01.01;", ""} {
		for _, glimpse := range []bool{false, true} {
			g := steady(t)
			if !glimpse {
				g.c.foresight.unforeseen()
			}
			must(t, g.c.Resume(bg))
			g.c.Rest(bg)
			g.s.Do(func() { g.s.Forestall = &text })
			stops := g.c.Stats().Stops
			e, err := g.c.Halt(bg)
			if err != nil || e.Kind != target.EventStopped || e.Stop.Reason == target.StopInterrupt {
				t.Fatalf("%q, glimpse %v: %+v, %v", text, glimpse, e, err)
			}
			if g.runs() || g.c.Running() {
				t.Errorf("%q, glimpse %v: it is left running", text, glimpse)
			}
			if got := g.s.Got(); glimpse != (got[len(got)-1] == "vCont;c") {
				t.Errorf("%q, glimpse %v: %v", text, glimpse, got[len(got)-3:])
			}
			if text == "T02thread:p01.01;" && g.c.Stats().Stops != stops {
				t.Errorf("glimpse %v: %d stops of ours more", glimpse, g.c.Stats().Stops-stops)
			}
			g.c.Sampling(false)
			if f, err := g.c.Leave(bg); err != nil || f.Running || g.runs() {
				t.Errorf("%q, glimpse %v: left running: %+v, %v", text, glimpse, f, err)
			}
		}
	}
}

// A QEMU that tells nobody of a stop by a byte has acknowledged what came behind it.
func TestUntoldInterrupt(t *testing.T) {
	g := steady(t)
	g.s.Do(func() { g.s.TellsNoInterrupt = true })
	for range 3 {
		if e, _ := g.halt(glimpseSP); e.Stop.Reason != target.StopInterrupt {
			t.Fatalf("%+v", e)
		}
		g.look(256)
		if !g.runs() {
			t.Error("a glimpse has left it stopped")
		}
	}
}

// Where a stack ends at a missing page, the page is believed to be missing as long as all
// comes as foreseen; words side by side are one request.
func TestGlimpseAtAGap(t *testing.T) {
	const sp, words = stubtest.Base + 0xff80, stubtest.Base + 0x8008
	g := sample(t)
	g.stop(sp)
	g.c.Sampling(true)
	looks := func() {
		t.Helper()
		_, err := g.c.ReadAllRegisters(bg)
		must(t, err)
		r := []target.Range{
			{Addr: sp, Data: make([]byte, 128)}, {Addr: sp + 128, Data: make([]byte, 128)},
			{Addr: words, Data: make([]byte, 8)}, {Addr: words + 8, Data: make([]byte, 8)},
		}
		must(t, g.c.ReadMany(bg, r))
		var fault *target.FaultError
		if r[0].N != 128 || r[1].N != 0 || !errors.As(r[1].Err, &fault) || fault.Addr != sp+128 || r[2].N != 8 || r[3].N != 8 {
			t.Fatalf("%+v", r)
		}
		if r[3].Data[0] != stubtest.Byte(words+8) {
			t.Errorf("% x", r[3].Data)
		}
	}
	glimpses, asked := 0, 0
	for range 40 {
		_, sent := g.halt(sp)
		if slices.Contains(sent, "vCont;c") {
			glimpses++
		}
		before := g.s.Count("m110000")
		looks()
		asked += g.s.Count("m110000") - before
	}
	if glimpses < 30 || asked == 0 || asked > 3 {
		t.Errorf("%d glimpses of %d, the page was asked for %d times", glimpses, 40, asked)
	}
	if _, sent := g.halt(sp); !slices.Contains(sent, "m108000,10") && !slices.Contains(sent, "m108008,10") {
		t.Errorf("%v", sent)
	}
	// Who does not sample looks.
	g.c.Sampling(false)
	must(t, g.c.Resume(bg))
	running(t, g.s)
	must(t, g.c.Interrupt(bg))
	<-g.c.Events()
	before := g.s.Count("m110000")
	looks()
	if g.s.Count("m110000") == before {
		t.Error("a missing page is believed to be missing")
	}
}

// Who reads more than once in each stop, as a walk through lists does, gets ordinary
// stops only.
func TestNoGlimpseForWalks(t *testing.T) {
	g := sample(t)
	g.stop(glimpseSP)
	g.c.Sampling(true)
	for i := range 4 * steadyStops {
		_, sent := g.halt(glimpseSP)
		if slices.Contains(sent, "vCont;c") {
			t.Fatalf("stop %d ends by itself", i)
		}
		g.look(256)
		must(t, target.ReadFull(bg, g.c, make([]byte, 8), stubtest.Base+0x100))
	}
}
