package unikraft

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target/arch"
)

var arches = []*arch.Arch{arch.X86_64, arch.ARM64}

// typical is one thread of each state.
var typical = []spec{
	{name: "main", flags: flagRunnable, exec: 12},
	{name: "ready", flags: flagRunnable, queue: "run"},
	{name: "sleeper", wakeup: 9_000_000, queue: "sleep"},
	{name: "late", wakeup: 4_000_000, queue: "sleep"},
	{name: "blocked"},
	{name: "gone", flags: flagExited, exited: true},
	{name: "new", flags: flagRunnable, fresh: true, queue: "run"},
}

func list(t testing.TB, k *Kernel) *kernel.ThreadList {
	t.Helper()
	l, err := k.Threads(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func byName(t testing.TB, l *kernel.ThreadList, name string) kernel.Thread {
	t.Helper()
	for _, th := range l.Threads {
		if th.Name == name {
			return th
		}
	}
	t.Fatalf("no thread %q in %+v", name, l.Threads)
	return kernel.Thread{}
}

func TestThreads(t *testing.T) {
	for _, a := range arches {
		t.Run(a.Name, func(t *testing.T) {
			img := newImage(a)
			k := open(t, img, build(img, typical, 0))
			l := list(t, k)
			if len(l.Threads) != 8 || len(l.Notes) != 0 {
				t.Fatalf("%d threads, notes %q", len(l.Threads), l.Notes)
			}
			want := map[string]kernel.State{
				"main": kernel.Running, "ready": kernel.Ready, "sleeper": kernel.Sleeping, "late": kernel.Sleeping,
				"blocked": kernel.Waiting, "gone": kernel.Exited, "new": kernel.Ready, "idle": kernel.Idle,
			}
			ids := map[int]bool{}
			for _, th := range l.Threads {
				if th.State != want[th.Name] {
					t.Errorf("%s is %v, want %v", th.Name, th.State, want[th.Name])
				}
				if len(th.Notes) != 0 || ids[th.ID] || th.ID < 1 || th.RegsErr != nil {
					t.Errorf("%s: id %d, notes %q, %v", th.Name, th.ID, th.Notes, th.RegsErr)
				}
				ids[th.ID] = true
				if (th.CPU == 0) != (th.Name == "main") {
					t.Errorf("%s: cpu %d", th.Name, th.CPU)
				}
			}
			main := byName(t, l, "main")
			if !main.Live || main.Regs.PC() != 0x310 || *main.ExecTime != 12 || main.ID != 1 {
				t.Errorf("main %+v", main)
			}
			if s := byName(t, l, "sleeper"); s.Wakeup != 9_000_000 || s.ToGo == nil || *s.ToGo != 4_000_000 {
				t.Errorf("sleeper %+v", s)
			}
			if s := byName(t, l, "late"); s.ToGo == nil || *s.ToGo != 0 {
				t.Errorf("late %+v", s)
			}
			if n := byName(t, l, "new"); !n.New || n.Entry != 0x300 || n.Returning {
				t.Errorf("new: %v entry %#x", n.New, n.Entry)
			}
		})
	}
}

// The saved registers are those ukarch_ctx_switch pushed.
func TestSavedContext(t *testing.T) {
	img := newImage(arch.X86_64)
	th := byName(t, list(t, open(t, img, build(img, typical, 0))), "blocked")
	sp := stackOf(4) + 0x3800
	want := map[string]uint64{"r15": 0xa0, "r14": 0xa1, "r13": 0xa2, "r12": 0xa3, "rbx": 0xa4, "rbp": 0xa5, "rip": 0x344, "rsp": sp + 56}
	checkRegs(t, th, want, "rax")

	img = newImage(arch.ARM64)
	th = byName(t, list(t, open(t, img, build(img, typical, 0))), "blocked")
	want = map[string]uint64{"x29": 0xaa, "x30": 0x344, "x18": 0xac, "pc": 0x344, "sp": sp + 112}
	for i := range uint64(10) {
		want[fmt.Sprintf("x%d", 19+i)] = 0xa0 + i
	}
	checkRegs(t, th, want, "x0")
}

func checkRegs(t *testing.T, th kernel.Thread, want map[string]uint64, unknown string) {
	t.Helper()
	if !th.Returning || th.Live {
		t.Errorf("returning %v, live %v", th.Returning, th.Live)
	}
	for name, v := range want {
		if got, ok := th.Regs.Named(name); !ok || got != v {
			t.Errorf("%s is %#x (%v), want %#x", name, got, ok, v)
		}
	}
	if _, ok := th.Regs.Named(unknown); ok {
		t.Errorf("%s is not saved but has a value", unknown)
	}
}

// A new thread's context ends with its stack; behind it may be a guard page.
func TestNewThreadAtTopOfStack(t *testing.T) {
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		top := stackOf(7)
		g.drop(top-0x100, 0x200)
		// Our guest's way: argument and entry, or entry alone.
		sp := top - 24
		g.zero(sp, 24)
		g.u64(sp+8, 0x300)
		if a == arch.ARM64 {
			sp = top - 16
			g.u64(sp, 0x300)
		}
		g.u64(threadAddr(6)+8, sp)
		if th := byName(t, list(t, open(t, img, g)), "new"); !th.New || th.Entry != 0x300 || th.RegsErr != nil || th.Regs.SP() != sp {
			t.Errorf("%s: %+v", a.Name, th)
		}
	}
}

// A saved context may lie across a page boundary.
func TestContextAcrossPages(t *testing.T) {
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		ret := map[*arch.Arch]uint64{arch.X86_64: 48, arch.ARM64: 88}[a]
		sp := stackOf(4) + 0x3000 - 40
		g.zero(sp, 128)
		g.u64(sp+ret, 0x344)
		g.u64(threadAddr(4)+8, sp)
		if th := byName(t, list(t, open(t, img, g)), "blocked"); th.RegsErr != nil || th.Regs.PC() != 0x344 {
			t.Errorf("%s: %+v", a.Name, th)
		}
		g.drop(sp+40, 100)
		if th := byName(t, list(t, open(t, img, g)), "blocked"); th.RegsErr == nil {
			t.Errorf("%s: half a context is believed", a.Name)
		}
	}
}

// Many threads cost half as many batches as they are, plus a few.
func TestRoundTrips(t *testing.T) {
	img := newImage(arch.X86_64)
	var specs []spec
	for i := range 50 {
		specs = append(specs, spec{name: fmt.Sprint("t", i)})
	}
	g := build(img, specs, 0)
	l := list(t, open(t, img, g))
	if len(l.Threads) != 51 || g.batches != l.RoundTrips || l.RoundTrips > 30 {
		t.Fatalf("%d threads in %d round trips (%d batches)", len(l.Threads), l.RoundTrips, g.batches)
	}
	t.Logf("%d threads in %d round trips", len(l.Threads), l.RoundTrips)
}

// Ids stay with a thread while it exists, and a new thread at an old address
// gets a new one.
func TestIDsAreStable(t *testing.T) {
	img := newImage(arch.X86_64)
	g := build(img, typical[:3], 0)
	k := open(t, img, g)
	before := list(t, k)
	sleeper := byName(t, before, "sleeper").ID
	// ready exits and is freed.
	g.tailq(schedAddr+16, schedAddr+24, []uint64{schedAddr + 80, threadAddr(0), threadAddr(2)}, 32, 40)
	g.tailq(schedAddr+48, schedAddr+56, nil, 48, 56)
	if l := list(t, k); len(l.Threads) != 3 || byName(t, l, "sleeper").ID != sleeper {
		t.Fatalf("%+v", l.Threads)
	}
	g.str(nameBase+0x40, "reborn")
	g.tailq(schedAddr+16, schedAddr+24, []uint64{schedAddr + 80, threadAddr(0), threadAddr(2), threadAddr(1)}, 32, 40)
	if id := byName(t, list(t, k), "reborn").ID; id != 5 {
		t.Fatalf("the new thread has id %d", id)
	}
}

func TestWaitQueues(t *testing.T) {
	img := newImage(arch.X86_64)
	img.waits = []WaitObject{
		{Name: "cache.lock", Kind: "mutex", Addr: 0x5000, Queue: 0x5010, Owner: 0x5008},
		{Name: "slots", Kind: "semaphore", Addr: 0x5040, Queue: 0x5048},
		{Name: "gone", Kind: "mutex", Addr: 0x6000, Queue: 0x6010, Owner: 0x6008},
	}
	g := build(img, typical, 0)
	g.zero(0x5000, 0x80)
	g.u64(0x5008, threadAddr(0)) // main holds it
	entry := stackOf(4) + 0x3900
	g.u64(0x5018, entry)
	g.u64(entry, 0)
	g.u64(entry+8, threadAddr(4))
	// In the semaphore's queue: a sleeper, an unknown thread, and a circle.
	e1, e2 := stackOf(2)+0x3900, stackOf(3)+0x3900
	g.u64(0x5050, e1)
	g.u64(e1, e2)
	g.u64(e1+8, threadAddr(2))
	g.u64(e2, e1)
	g.u64(e2+8, 0x123)
	l := list(t, open(t, img, g))
	if th := byName(t, l, "blocked"); th.Wait != "mutex cache.lock, held by main" || th.WaitObject != 0x5000 {
		t.Errorf("blocked: %q %#x", th.Wait, th.WaitObject)
	}
	if th := byName(t, l, "sleeper"); th.Wait != "semaphore slots" {
		t.Errorf("sleeper: %q", th.Wait)
	}
	notes := strings.Join(l.Notes, "; ")
	if !strings.Contains(notes, "0x123 is in no scheduler's list") || !strings.Contains(notes, "circle") {
		t.Errorf("notes %q", notes)
	}
	if len(l.Threads) != 8 {
		t.Errorf("%d threads", len(l.Threads))
	}
}
