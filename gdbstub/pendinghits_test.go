package gdbstub

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// What a processor has hit and was not told must be told before its watchpoint is
// taken out: else the next breakpoint is told as a watchpoint that is not there any
// more, and now and then handed to the guest.
func TestPendingHits(t *testing.T) {
	for name, o := range map[string]vmOptions{
		"x86_64":        {arch: "x86_64"},
		"arm64":         {arch: "arm64"},
		"arm64, 2 CPUs": {arch: "arm64", smp: 2, both: true},
	} {
		t.Run(name, func(t *testing.T) {
			v := startVM(t, o)
			c := v.dial(Options{})
			ctx := context.Background()
			watch := target.Breakpoint{Kind: target.WatchWrite, Addr: v.sym["counter"], Len: 4}
			brk := target.Breakpoint{Addr: v.sym["work"]}
			do := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			hit, asked := 0, 0
			for range 60 {
				do(c.Insert(ctx, watch))
				do(c.Resume(ctx))
				do(c.Interrupt(ctx))
				switch e := wait(t, c); {
				case e.Kind == target.EventStopped && e.Stop.Reason == target.StopWatch:
					hit++
				case e.Kind == target.EventStopped && e.Stop.Reason == target.StopInterrupt:
					asked++
				default:
					t.Fatalf("event %+v", e)
				}
				do(c.Remove(ctx, watch))
				do(c.Insert(ctx, brk))
				do(c.Resume(ctx))
				if s := wantStop(t, c, target.StopBreakpoint); pc(t, c, s.CPU) != brk.Addr {
					t.Fatalf("CPU %d stopped at %#x, not at the breakpoint", s.CPU, pc(t, c, s.CPU))
				}
				do(c.Remove(ctx, brk))
			}
			leave(t, c)
			v.wantStatus("running")
			t.Logf("%d stops by the watchpoint, %d as asked", hit, asked)
		})
	}
}

// A step that hits a watchpoint asks QEMU for two stops, and the second must not come
// when the guest was left.
func TestStepOntoWatch(t *testing.T) {
	eachArch(t, func(t *testing.T, a string) {
		v := startVM(t, vmOptions{arch: a})
		ctx := context.Background()
		for steps := 1; steps <= 12; steps++ {
			c := v.dial(Options{})
			if err := c.Insert(ctx, target.Breakpoint{Kind: target.WatchAccess, Addr: v.sym["counter"], Len: 4}); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if err := c.Resume(ctx, target.Action{CPU: 0, Step: true}); err != nil {
					t.Fatal(err)
				}
				if e := wait(t, c); e.Kind != target.EventStopped {
					t.Fatalf("event %+v", e)
				}
			}
			leave(t, c)
			v.wantStatus("running")
			time.Sleep(3 * time.Millisecond)
			if s := v.status(); s != "running" {
				t.Fatalf("left after %d steps, it is %q a moment later", steps, s)
			}
		}
	})
}

// The same for watchpoints that a dead attachment left, over its link and over a new
// one, on which QEMU takes them out at the first question.
func TestPendingHitsOfTheDead(t *testing.T) {
	watch := func(v *vm) target.Breakpoint {
		return target.Breakpoint{Kind: target.WatchWrite, Addr: v.sym["counter"], Len: 4}
	}
	eachArch(t, func(t *testing.T, a string) {
		for _, adopt := range []bool{false, true} {
			v := startVM(t, vmOptions{arch: a})
			for range 15 {
				way, err := Prepare(bg, v.gdb)
				must(t, err)
				fd, err := syscall.Dup(int(way.Files()[0].Fd()))
				must(t, err)
				kept := os.NewFile(uintptr(fd), "link")
				dead, err := way.Dial(bg, Options{})
				must(t, err)
				must(t, dead.Insert(bg, watch(v)))
				must(t, dead.Resume(bg))
				must(t, dead.Interrupt(bg))
				if e := wait(t, dead); e.Kind != target.EventStopped {
					t.Fatalf("event %+v", e)
				}
				if adopt {
					// A death ends only its own descriptor.
					s := dead.link.(*socket)
					s.once.Do(func() { must(t, s.file.Close()) })
				}
				must(t, dead.Close())
				b := watch(v)
				st := &journal.State{
					Connecting: true, Attached: true, LeaveRunning: true, Stub: journal.Attached{QEMU: true, Found: journal.Running},
					Breaks: []journal.Break{{Kind: int(b.Kind), Addr: b.Addr, Len: b.Len}},
				}
				var c *Client
				if adopt {
					c, err = Adopt(bg, v.gdb, []*os.File{kept}, st, Options{})
					must(t, err)
				} else {
					must(t, kept.Close())
					eventually(t, "QEMU hears that the other is gone", func() bool {
						c, err = Dial(bg, v.gdb, Options{Orphan: st})
						return !errors.Is(err, ErrBusy)
					})
					must(t, err)
					must(t, c.Recover(bg, st))
				}
				leave(t, c)
				v.wantStatus("running")

				c = v.dial(Options{})
				must(t, c.Insert(bg, target.Breakpoint{Addr: v.sym["work"]}))
				must(t, c.Resume(bg))
				wantStop(t, c, target.StopBreakpoint)
				leave(t, c)
			}
		}
	})
}
