package unikraft

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Lists that are damaged, half changed, unreadable, or not what they are taken for.

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
