package profiler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// thirds runs three functions for 60, 30 and 10 % of each 10 ms.
func thirds(_ target.CPU, since time.Duration) (pc, thread uint64) {
	switch t := since % (10 * time.Millisecond); {
	case t < 6*time.Millisecond:
		return 0x1000, 1
	case t < 9*time.Millisecond:
		return 0x2000, 2
	}
	return 0x3000, 2
}

func sampler(g *fakeGuest) *Sampler {
	return &Sampler{Guest: g, Machine: g, Unwind: walk, Symbolize: func(addr uint64) []Frame {
		return []Frame{{Function: "f"}}
	}}
}

func mustRun(t *testing.T, s *Sampler, opt Options) *Profile {
	t.Helper()
	p, err := s.Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSharesOfPeriodicGuest(t *testing.T) {
	// 100 samples a second of a guest with a period of 10 ms: a sampler without
	// jitter would see one function only.
	g := newFake(thirds)
	p := mustRun(t, sampler(g), Options{Rate: 100, Duration: 2 * time.Second})
	seen := map[uint64]int64{}
	var n int64
	for _, s := range p.Samples {
		seen[s.Stack[0].Address] += s.Count
		n += s.Count
	}
	if n != int64(p.Ticks) || n < 100 {
		t.Fatalf("%d samples in %d ticks, want one each and about 200", n, p.Ticks)
	}
	for pc, want := range map[uint64]float64{0x1000: .6, 0x2000: .3, 0x3000: .1} {
		got := float64(seen[pc]) / float64(n)
		if sigma := math.Sqrt(want * (1 - want) / float64(n)); math.Abs(got-want) > 5*sigma {
			t.Errorf("%#x: share %.3f, want %.1f within %.3f", pc, got, want, 5*sigma)
		}
	}
	if g.readWhileRunning != 0 {
		t.Errorf("guest was read %d times while it ran", g.readWhileRunning)
	}
	if !g.Running() || g.stops != g.resumes || g.stops != p.Pause.Stops {
		t.Errorf("left running=%v after %d stops and %d resumes, profile says %d stops", g.Running(), g.stops, g.resumes, p.Pause.Stops)
	}
	var weight time.Duration
	for _, s := range p.Samples {
		weight += time.Duration(s.Value)
	}
	if d := weight - p.Duration; d > time.Millisecond || d < -time.Millisecond {
		t.Errorf("weights add up to %v in a run of %v", weight, p.Duration)
	}
}

func TestStacksThreadsAndCPUs(t *testing.T) {
	g := newFake(func(cpu target.CPU, _ time.Duration) (uint64, uint64) {
		return 0x1000 + uint64(cpu), 1 + uint64(cpu)
	})
	g.cpus = 2
	th := &fakeThreads{}
	s := sampler(g)
	s.Threads = th
	s.Symbolize = func(addr uint64) []Frame {
		if addr == 0x8fff {
			return []Frame{{Function: "inlined"}, {Function: "holder"}}
		}
		return nil
	}
	p := mustRun(t, s, Options{Rate: 200, Duration: 100 * time.Millisecond})
	if len(p.Samples) != 2 {
		t.Fatalf("%d distinct samples, want one for each CPU", len(p.Samples))
	}
	for _, s := range p.Samples {
		want := map[target.CPU]string{0: "main", 1: "worker"}[s.CPU]
		if s.Thread.Name != want {
			t.Errorf("CPU %d ran thread %q, want %q", s.CPU, s.Thread.Name, want)
		}
		// pc, then four return addresses of which the first has an inlined one.
		if len(s.Stack) != 6 || s.Stack[1].Function != "inlined" || !s.Stack[1].Inline ||
			s.Stack[2].Function != "holder" || s.Stack[2].Inline || s.Stack[2].Address != s.Stack[1].Address {
			t.Errorf("CPU %d stack %+v", s.CPU, s.Stack)
		}
		if s.Truncated {
			t.Errorf("CPU %d: complete stack marked as truncated", s.CPU)
		}
	}
	if th.asked != 2 {
		t.Errorf("asked for a thread's name %d times, want once for each of 2", th.asked)
	}
}

// A guest that is not stopped has gone on to another thread when the kernel's word is
// read: whose stack the registers are on decides. One that is stopped has not.
func TestThreadOfUnstoppedGuest(t *testing.T) {
	for _, unstopped := range []bool{false, true} {
		s := sampler(newFake(func(target.CPU, time.Duration) (uint64, uint64) { return 0x1000, 2 }))
		s.Unstopped = unstopped
		s.Threads = &fakeThreads{owner: func(sp uint64) (Thread, bool) {
			return Thread{ID: 7, Name: "idle", Known: true, Idle: true}, sp == fakeStack
		}}
		want := "worker"
		if unstopped {
			want = "idle"
		}
		for _, sample := range mustRun(t, s, Options{Rate: 200, Duration: 50 * time.Millisecond}).Samples {
			if sample.Thread.Name != want {
				t.Errorf("unstopped %v: sampled in thread %q, want %q", unstopped, sample.Thread.Name, want)
			}
		}
	}
}

func TestPauseBudgetLowersTheRate(t *testing.T) {
	g := newFake(thirds)
	g.readCost = 3 * time.Millisecond
	p := mustRun(t, sampler(g), Options{Rate: 500, Duration: time.Second, MaxPause: 0.10})
	// The last sample's pause has no full gap after it.
	if p.Share() > 0.10+float64(p.Pause.Longest)/float64(p.Duration) {
		t.Errorf("guest stopped for %.1f %% of the time, budget is 10 %%", 100*p.Share())
	}
	if p.Ticks < 5 || p.Ticks > 40 || p.Missed < 400 {
		t.Errorf("%d samples, %d missed of 500", p.Ticks, p.Missed)
	}
	if p.Pause.Longest < g.readCost || p.Pause.Total < time.Duration(p.Ticks)*g.readCost {
		t.Errorf("pauses of 3 ms measured as %+v", p.Pause)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "samples/s instead of the 500") {
		t.Errorf("warnings %q do not tell of the lower rate", p.Warnings)
	}
}

// A host that is busy for a moment costs a guest that is not stopped few samples, which
// come late; each slot is sampled or counted as missed.
func TestCatchesUp(t *testing.T) {
	const rate, total = 1000, 300
	for _, unstopped := range []bool{false, true} {
		g := newFake(thirds)
		g.hiccup = func(read int) time.Duration {
			if read%20 == 0 {
				return 4 * time.Millisecond
			}
			return 0
		}
		s := sampler(g)
		s.Unstopped = unstopped
		p := mustRun(t, s, Options{Rate: rate, Duration: total * time.Second / rate, MaxPause: 1})
		if all := p.Ticks + p.Missed; all != total || p.Ticks == 0 {
			t.Errorf("%d samples and %d missed of %d", p.Ticks, p.Missed, total)
		}
		if p.Latest < 2*time.Millisecond && unstopped {
			t.Errorf("samples were late by %v at most behind one that took 4 ms", p.Latest)
		}
	}
}

func TestDeepStacksAreCopiedFurther(t *testing.T) {
	g := newFake(func(target.CPU, time.Duration) (uint64, uint64) { return 0x1000, 1 })
	g.depth = 900 // 7200 bytes
	s := sampler(g)
	s.Unwind = func(ctx context.Context, mem target.Memory, regs target.Regs) ([]Call, error) {
		calls, err := walk(ctx, mem, regs)
		return calls[len(calls)-min(len(calls), 2):], err // short stacks for the sake of the test
	}
	p := mustRun(t, s, Options{Rate: 200, Duration: 200 * time.Millisecond})
	whole := int64(0)
	for _, s := range p.Samples {
		if !s.Truncated {
			whole += s.Count
		}
	}
	if whole < int64(p.Ticks)-8 || whole == 0 {
		t.Errorf("%d of %d samples have their whole stack", whole, p.Ticks)
	}
	p = mustRun(t, s, Options{Rate: 200, Duration: 50 * time.Millisecond, MaxStack: 4096})
	if len(p.Samples) == 0 || !p.Samples[0].Truncated || len(p.Warnings) == 0 {
		t.Errorf("stacks beyond MaxStack are not told: %+v", p.Warnings)
	}
	// 24,000 bytes are copied where it stops nothing, else not.
	g.depth = 3000
	for _, unstopped := range []bool{false, true} {
		s.Unstopped = unstopped
		p = mustRun(t, s, Options{Rate: 200, Duration: 200 * time.Millisecond})
		if told := slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "bytes copied") }); told == unstopped {
			t.Errorf("unstopped %v: a deep stack is told to be cut: %v", unstopped, told)
		}
	}
}

func TestCancelEndsEarlyAndLeavesTheGuestRunning(t *testing.T) {
	g := newFake(thirds)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	p, err := sampler(g).Run(ctx, Options{Rate: 200, Duration: time.Minute})
	if err != nil || p.Ended != "interrupted" || p.Ticks == 0 {
		t.Fatalf("ended %q after %d samples, error %v", p.Ended, p.Ticks, err)
	}
	if time.Since(begin) > 5*time.Second || !g.Running() {
		t.Errorf("took %v, guest running: %v", time.Since(begin), g.Running())
	}
}

func TestStoppedGuestIsStoppedAgain(t *testing.T) {
	g := newFake(thirds)
	g.running = false
	p := mustRun(t, sampler(g), Options{Rate: 200, Duration: 50 * time.Millisecond})
	if p.Ticks == 0 || g.Running() {
		t.Errorf("%d samples, guest running afterwards: %v", p.Ticks, g.Running())
	}
}

func TestForeignStopIsLeft(t *testing.T) {
	g := newFake(thirds)
	g.foreign = &target.Stop{Reason: target.StopBreakpoint}
	p := mustRun(t, sampler(g), Options{Rate: 200, Duration: time.Minute})
	if !strings.Contains(p.Ended, "breakpoint") || g.Running() || g.resumes != 0 {
		t.Errorf("ended %q, running %v, resumed %d times", p.Ended, g.Running(), g.resumes)
	}
}

func TestLostLinkIsAnErrorWithTheSamplesBefore(t *testing.T) {
	g := newFake(thirds)
	time.AfterFunc(50*time.Millisecond, func() {
		g.mu.Lock()
		g.stopErr = target.ErrLost
		g.mu.Unlock()
	})
	p, err := sampler(g).Run(t.Context(), Options{Rate: 500, Duration: time.Minute})
	if !errors.Is(err, target.ErrLost) || p.Ticks == 0 || p.Ended == "" {
		t.Errorf("error %v, %d samples, ended %q", err, p.Ticks, p.Ended)
	}
}

func TestEndedGuestIsNoError(t *testing.T) {
	g := newFake(thirds)
	g.stopErr = ErrEnded
	if p, err := sampler(g).Run(t.Context(), Options{}); err != nil || p.Ended != ErrEnded.Error() {
		t.Errorf("error %v, ended %q", err, p.Ended)
	}
}

func TestBadOptions(t *testing.T) {
	for _, opt := range []Options{{Rate: -1}, {Rate: MaxRate + 1}, {Rate: math.NaN()}, {Duration: -1}, {MaxPause: 2}, {MaxStack: -1}} {
		if _, err := sampler(newFake(thirds)).Run(t.Context(), opt); err == nil {
			t.Errorf("%+v was accepted", opt)
		}
	}
}

func TestAggregateIsBounded(t *testing.T) {
	a := newAggregate()
	c := &Capture{}
	for i := range 3 * maxStacks {
		a.add(c, []Call{{Addr: uint64(i % 7)}, {Addr: uint64(i)}}, false)
	}
	if len(a.order) > maxStacks+8 {
		t.Errorf("%d stacks kept", len(a.order))
	}
	if a.folded != 2*maxStacks || a.lost != 0 {
		t.Errorf("%d folded, %d lost", a.folded, a.lost)
	}
	var n int64
	for _, s := range a.samples(nil, time.Millisecond) {
		n += s.Count
	}
	if n != 3*maxStacks {
		t.Errorf("%d samples counted of %d", n, 3*maxStacks)
	}
}

func TestControl(t *testing.T) {
	c := &fakeController{events: make(chan target.Event, 4), running: true}
	g := Control(c)
	c.events <- target.Event{Kind: target.EventOutput, Text: []byte("x")}
	c.events <- target.Event{Kind: target.EventStopped, Stop: target.Stop{Reason: target.StopInterrupt}}
	if stop, at, err := g.Stop(t.Context()); err != nil || stop.Reason != target.StopInterrupt || at.IsZero() || c.interrupts != 1 {
		t.Errorf("stop %+v at %v, %d interrupts, error %v", stop, at, c.interrupts, err)
	}
	if err := g.Resume(t.Context()); err != nil || len(c.resumed) != 1 || c.resumed[0].CPU != target.AllCPUs {
		t.Errorf("resumed %+v, error %v", c.resumed, err)
	}
	c.events <- target.Event{Kind: target.EventExited, Status: 3}
	if _, _, err := g.Stop(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("exit gave %v", err)
	}
	c.events <- target.Event{Kind: target.EventLost, Err: errors.New("reset")}
	if _, _, err := g.Stop(t.Context()); !errors.Is(err, target.ErrLost) {
		t.Errorf("lost link gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := g.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context gave %v", err)
	}
}

type fakeController struct {
	events     chan target.Event
	running    bool
	interrupts int
	resumed    []target.Action
}

func (c *fakeController) Resume(_ context.Context, a ...target.Action) error {
	c.resumed = append(c.resumed, a...)
	return nil
}
func (c *fakeController) Interrupt(context.Context) error { c.interrupts++; return nil }
func (c *fakeController) Events() <-chan target.Event     { return c.events }
func (c *fakeController) Running() bool                   { return c.running }

// A stack that changed while it was read is cut and says so; the profile counts them.
func TestTornStacks(t *testing.T) {
	g := newFake(func(target.CPU, time.Duration) (uint64, uint64) { return 0x1000, 1 })
	s := Sampler{Guest: g, Machine: g, Unwind: func(context.Context, target.Memory, target.Regs) ([]Call, error) {
		return []Call{{Addr: 0x1000}, {Addr: 0x9000}}, ErrTorn
	}}
	p, err := s.Run(t.Context(), Options{Rate: 200, Duration: 200 * time.Millisecond, MaxPause: 1})
	if err != nil || len(p.Samples) != 1 || !p.Samples[0].Truncated || len(p.Samples[0].Stack) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	want := fmt.Sprintf("%d stacks changed while they were read", p.Samples[0].Count)
	if !slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
		t.Errorf("warnings %q lack %q", p.Warnings, want)
	}
	if p.Latest <= 0 || p.Late > p.Latest {
		t.Errorf("late by %v, at most %v", p.Late, p.Latest)
	}
}

func TestIdleShare(t *testing.T) {
	p := Profile{Period: 10 * time.Millisecond, Samples: []Sample{
		{Count: 30, Value: 300e6, Thread: Thread{Known: true, Idle: true}}, {Count: 10, Value: 100e6},
	}}
	if got := p.IdleShare(); got != 0.75 {
		t.Errorf("idle %v", got)
	}
	if n, _ := p.Busy().Total(); n != 10 || len(p.Samples) != 2 {
		t.Errorf("%d busy samples", n)
	}
	// What samples no idle guest tells its idle time, and what was the host's is not idle.
	p = Profile{Period: 10 * time.Millisecond, Idle: 500 * time.Millisecond, Outside: 30, Samples: []Sample{{Count: 20, Value: 200e6}}}
	if got := p.IdleShare(); got != 0.5 {
		t.Errorf("idle %v", got)
	}
	if got := (&Profile{}).IdleShare(); got != 0 {
		t.Errorf("nothing is idle by %v", got)
	}
}
