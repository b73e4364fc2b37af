package unikraft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
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

func TestTornLists(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name   string
		damage func(g *guest)
		note   string
		least  int
	}{
		{"circle", func(g *guest) { g.u64(threadAddr(2)+32, threadAddr(0)) }, "circle", 4},
		{"self", func(g *guest) { g.u64(threadAddr(0)+32, threadAddr(0)) }, "circle", 2},
		{"unreadable node", func(g *guest) { g.u64(threadAddr(1)+32, 0xdead0000) }, "0xdead0000 is not readable", 3},
		{"node half readable", func(g *guest) { g.drop(threadAddr(3)+40, 8) }, "not readable", 4},
		{"wild tail", func(g *guest) { g.u64(schedAddr+24, 0xfffffffffffffff8) }, "", 8},
		{"tail to itself", func(g *guest) { g.u64(threadAddr(6)+40, threadAddr(6)+32) }, "back link of the entry at 0x20600", 8},
		{"half inserted", func(g *guest) { g.u64(threadAddr(2)+40, 0) }, "the list is being changed", 8},
		{"run queue half inserted", func(g *guest) { g.u64(threadAddr(6)+56, 0) }, "run queue of the scheduler at 0x10000: the back link", 8},
		{"sched circle", func(g *guest) { g.u64(schedAddr+8, schedAddr) }, "circle", 8},
		{"sched unreadable", func(g *guest) { g.u64(schedAddr+8, 0x99990000) }, "0x99990000", 8},
		{"run queue circle", func(g *guest) { g.u64(threadAddr(1)+48, threadAddr(1)) }, "run queue", 8},
		{"coop cut", func(g *guest) { g.drop(schedAddr+176, 8) }, "queues are not readable", 8},
		{"current unreadable", func(g *guest) { g.drop(0x1010, 8) }, "which threads run", 8},
		{"current wild", func(g *guest) { g.u64(0x1010, 0x77770000) }, "", 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := newImage(arch.X86_64)
			g := build(img, typical, 0)
			c.damage(g)
			l, err := open(t, img, g).Threads(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Threads) < c.least {
				t.Errorf("%d threads, want at least %d", len(l.Threads), c.least)
			}
			if got := strings.Join(l.Notes, "; "); !strings.Contains(got, c.note) || (c.note == "") != (got == "") {
				t.Errorf("notes %q, want %q", got, c.note)
			}
		})
	}
}

func TestThreadProblems(t *testing.T) {
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	g.u64(threadAddr(1)+80, 0x66660000) // name
	g.u64(threadAddr(2)+8, 0x66660000)  // ctx.sp
	g.u64(threadAddr(4)+16, 0)          // ctx.ip
	l := list(t, open(t, img, g))
	if th := l.Threads[2]; th.Name != "" || len(th.Notes) != 1 || !strings.Contains(th.Notes[0], "name is not readable") {
		t.Errorf("name: %+v", th)
	}
	var fault *target.FaultError
	if th := byName(t, l, "sleeper"); !errors.As(th.RegsErr, &fault) || fault.Addr != 0x66660000 {
		t.Errorf("stack: %v", th.RegsErr)
	}
	if th := byName(t, l, "blocked"); th.RegsErr == nil || !strings.Contains(th.RegsErr.Error(), "ctx.ip is 0") {
		t.Errorf("ip: %v", th.RegsErr)
	}
	// A current thread that no list holds and that is not readable is told.
	g.u64(0x1010, 0x77770000)
	l = list(t, open(t, img, g))
	if th := l.Threads[len(l.Threads)-2]; th.Addr == 0x77770000 && th.RegsErr == nil {
		t.Errorf("%+v", th)
	}
	// A name that fills its room is cut.
	g = build(img, typical, 0)
	g.put(nameBase, []byte(strings.Repeat("n", 300))...)
	if th := list(t, open(t, img, g)).Threads[1]; th.Name != strings.Repeat("n", maxName) {
		t.Errorf("name %q", th.Name)
	}
}

// Members that some configurations lack are tolerated.
func TestMissingMembers(t *testing.T) {
	ctx := context.Background()
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	for _, p := range []string{"exec_time", "wakeup_time", "name", "_mem.stack", "thread_list.tqe_prev", "queue.tqe_next"} {
		img.without("uk_thread", p)
	}
	delete(img.fields, "schedcoop")
	delete(img.sizes, "schedcoop")
	l := list(t, open(t, img, g))
	if len(l.Threads) != 8 || l.Threads[0].ExecTime != nil || l.Threads[2].State != kernel.Ready {
		t.Fatalf("%+v", l.Threads)
	}
	for _, c := range [][2]string{{"uk_thread", "ctx.sp"}, {"uk_thread", "thread_list.tqe_next"}, {"uk_sched", "next"}} {
		img := newImage(arch.X86_64)
		img.without(c[0], c[1])
		if _, err := open(t, img, g).Threads(ctx); !errors.Is(err, kernel.ErrAbsent) || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("without %s.%s: %v", c[0], c[1], err)
		}
	}
	img = newImage(arch.X86_64)
	delete(img.symbols, "uk_sched_head")
	if _, err := open(t, img, g).Threads(ctx); !errors.Is(err, kernel.ErrAbsent) {
		t.Errorf("without uk_sched_head: %v", err)
	}
	delete(g.bytes, 0x1000)
	if _, err := open(t, newImage(arch.X86_64), g).Threads(ctx); err == nil {
		t.Error("an unreadable uk_sched_head is no error")
	}
}

// A scheduler that is not cooperative is not read as one.
func TestOtherScheduler(t *testing.T) {
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	g.u64(schedAddr, 0x480)
	g.drop(schedAddr+48, 8) // it has no run queue there
	l := list(t, open(t, img, g))
	// The idle thread at the start of the list is still there, as any other.
	if len(l.Threads) != 8 || len(l.Notes) != 0 {
		t.Fatalf("%d threads, notes %q", len(l.Threads), l.Notes)
	}
}

func lcpus(g *guest, a *arch.Arch, index ...uint64) {
	reg := map[*arch.Arch]int{arch.X86_64: arch.X86GSBase, arch.ARM64: arch.ARM64TPIDREL1}[a]
	first := g.regs[0]
	g.regs = nil
	for i, idx := range index {
		r := first
		r.Set(reg, lcpuBase+uint64(i)*0x40)
		g.u32(lcpuBase+uint64(i)*0x40+20, idx)
		g.regs = append(g.regs, r)
	}
}

// Each CPU's thread is found by the struct lcpu its register names, in whatever
// order the stub lists the CPUs.
func TestCPUs(t *testing.T) {
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		g.u64(0x1010+8, threadAddr(1))
		lcpus(g, a, 1, 0, 2)
		g.regs[0].Set(a.SP, stackOf(1)+0x3000)
		l := list(t, open(t, img, g))
		if th := byName(t, l, "ready"); th.State != kernel.Running || th.CPU != 0 || !th.Live {
			t.Errorf("%s: ready %+v", a.Name, th)
		}
		if th := byName(t, l, "main"); th.State != kernel.Running || th.CPU != 1 || !th.Live {
			t.Errorf("%s: main %+v", a.Name, th)
		}
		// CPU 2 runs no thread yet.
		if th := byName(t, l, "(no thread)"); th.CPU != 2 || th.Addr != 0 || !th.Live {
			t.Errorf("%s: %+v", a.Name, th)
		}
	}
}

// Without the register that names the CPU, threads run somewhere, and that is
// told rather than guessed.
func TestCPUsUnknown(t *testing.T) {
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	g.regs = append(g.regs, g.regs[0])
	l := list(t, open(t, img, g))
	if th := byName(t, l, "main"); th.State != kernel.Running || th.CPU != kernel.NoCPU || th.RegsErr == nil {
		t.Errorf("main %+v", th)
	}
	if !slices.ContainsFunc(l.Notes, func(n string) bool { return strings.Contains(n, "which CPU runs") }) {
		t.Errorf("notes %q", l.Notes)
	}
	// The stack pointer tells, where it is on one thread's stack alone.
	g.regs[1].Set(arch.X86RSP, 0x10)
	if th := byName(t, list(t, open(t, img, g)), "main"); th.State != kernel.Running || th.CPU != 0 || !th.Live {
		t.Errorf("main by its stack %+v", th)
	}
	// No registers at all.
	k, err := New(Config{Image: img, Memory: g})
	if err != nil {
		t.Fatal(err)
	}
	l = list(t, k)
	if th := byName(t, l, "main"); th.State != kernel.Running || th.RegsErr == nil || len(l.Notes) != 1 {
		t.Errorf("main %+v, notes %q", th, l.Notes)
	}
	// The registers cannot be read.
	g = build(img, typical, 0)
	g.regsErr = errors.New("E01")
	l = list(t, open(t, img, g))
	if th := byName(t, l, "main"); th.State != kernel.Running || th.Live || th.RegsErr == nil || len(l.Notes) != 1 {
		t.Errorf("main %+v, notes %q", th, l.Notes)
	}
}

// Between naming the next thread and switching the stack, the processor's
// registers are still the former's.
func TestSwitching(t *testing.T) {
	check := func(a *arch.Arch, g *guest, former, next string) {
		t.Helper()
		l := list(t, open(t, newImage(a), g))
		out, in := byName(t, l, former), byName(t, l, next)
		if !out.Live || out.CPU != 0 || len(out.Notes) != 1 {
			t.Errorf("%s: leaving: %+v", a.Name, out)
		}
		if in.Live || in.State != kernel.Running || in.CPU != kernel.NoCPU || !in.Returning || in.Regs.PC() != 0x344 || len(in.Notes) != 1 {
			t.Errorf("%s: coming: %+v", a.Name, in)
		}
	}
	whole := func(a *arch.Arch, g *guest, current string) {
		t.Helper()
		if th := byName(t, list(t, open(t, newImage(a), g)), current); !th.Live || th.CPU != 0 || len(th.Notes) != 0 {
			t.Errorf("%s: %+v", a.Name, th)
		}
	}
	for _, a := range arches {
		// Told by the stack: next is "ready", but the stack is main's.
		g := build(newImage(a), typical, 0)
		g.u64(0x1010, threadAddr(1))
		check(a, g, "main", "ready")
		// That next's own stack is not known changes nothing.
		g.u64(threadAddr(1)+88, 0)
		check(a, g, "main", "ready")
		// A stack pointer on no thread's stack, as in a trap, says nothing.
		g.regs[0].Set(a.SP, 0x9000)
		whole(a, g, "ready")

		// In ukarch_ctx_switch, told by its argument, whatever the stack is.
		g = build(newImage(a), typical, 0)
		g.u64(0x1010, threadAddr(1))
		g.regs[0].Set(a.PC, 0x210)
		g.regs[0].Set(a.SP, 0x9000)
		first := map[*arch.Arch]int{arch.X86_64: arch.X86RDI, arch.ARM64: 0}[a]
		g.regs[0].Set(first, threadAddr(0)+8)
		check(a, g, "main", "ready")
		// Its stack pointer is next's already.
		g.regs[0].Set(a.SP, stackOf(1)+0x3800+16)
		whole(a, g, "ready")
		// An argument that is no thread.
		g.regs[0].Set(a.SP, 0x9000)
		g.regs[0].Set(first, 0x1234)
		whole(a, g, "ready")
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

// Everything moves by the slide.
func TestSlide(t *testing.T) {
	img := newImage(arch.X86_64)
	img.waits = []WaitObject{{Name: "lock", Kind: "mutex", Addr: 0x5000, Queue: 0x5010, Owner: 0x5008}}
	g := build(img, typical, 0)
	g.zero(0x5000, 0x40)
	const slide = 0x200000
	moved := newGuest()
	moved.slide = slide
	for a, b := range g.bytes {
		if a < 0x8000 {
			moved.bytes[a+slide] = b // the image
		} else {
			moved.bytes[a] = b // the heap
		}
	}
	r := g.regs[0]
	r.Set(arch.X86RIP, 0x310+slide)
	moved.regs = append(moved.regs, r)
	for i := range typical {
		moved.u64(threadAddr(i)+16, le64(g.eight(threadAddr(i)+16))+slide)
	}
	moved.u64(schedAddr, 0x340+slide)
	moved.u64(schedAddr+80+16, 0x230+slide)
	k := open(t, img, moved)
	l := list(t, k)
	if len(l.Threads) != 8 || len(l.Notes) != 0 || byName(t, l, "blocked").State != kernel.Waiting || !byName(t, l, "blocked").Returning {
		t.Fatalf("%+v %q", l.Threads, l.Notes)
	}
	if loc, err := k.TraceBuffer(); err != nil || loc.Buffer != 0x1100+slide || loc.Size != 64 || loc.Writep != 0x1050+slide {
		t.Errorf("%+v %v", loc, err)
	}
}

func (g *guest) eight(addr uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = g.bytes[addr+uint64(i)]
	}
	return b
}

func TestDetect(t *testing.T) {
	img := newImage(arch.X86_64)
	if !Detect(img) {
		t.Error("not recognised")
	}
	if v := open(t, img, newGuest()).Version(); v != "0.17.0~abc Calypso" {
		t.Errorf("version %q", v)
	}
	img.rodata = "   Helene 0.18.0~beef\n\x00"
	if v := open(t, img, newGuest()).Version(); v != "0.18.0~beef Helene" {
		t.Errorf("version %q", v)
	}
	img.macros = map[string]string{"UK_FULLVERSION": "0.19.1", "UK_CODENAME": "Pan"}
	if v := open(t, img, newGuest()).Version(); v != "0.19.1 Pan" {
		t.Errorf("version %q", v)
	}
	img.macros, img.rodata = nil, "Unikraft"
	if v := open(t, img, newGuest()).Version(); v != "" {
		t.Errorf("version %q", v)
	}
	img.symbols = map[string][2]uint64{"main": {1, 2}}
	if Detect(img) {
		t.Error("any image is a Unikraft")
	}
	if _, err := New(Config{Image: img}); err == nil {
		t.Error("New accepts any image")
	}
}
