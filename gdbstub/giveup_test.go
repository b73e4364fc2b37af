package gdbstub

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// A caller may give up at any moment, as when its guard dies: also while the
// connection is made, for which QEMU stops its guest whatever becomes of it.
func TestGivingUpLeavesTheGuestRunning(t *testing.T) {
	s := stubtest.QEMU()
	s.Listen(t)
	given := 0
	for i := range 600 {
		ctx, cancel := context.WithCancel(bg)
		stop := time.AfterFunc(time.Duration(i%60)*5*time.Microsecond, cancel)
		c, err := Dial(ctx, s.Spec, Options{})
		stop.Stop()
		cancel()
		if err == nil {
			_, err := c.Leave(bg)
			must(t, err)
		} else if given++; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		} else if LeftBehind(err) {
			t.Fatalf("left behind: %v", err)
		}
		time.Sleep(time.Millisecond) // a dead connection is accepted too
		running(t, s)
	}
	t.Logf("given up %d times", given)
}

// abandoned ends a context while the stub takes its time for the first packet
// that begins with prefix.
func abandoned(s *stubtest.Stub, prefix byte) context.Context {
	ctx, cancel := context.WithCancel(bg)
	first := true
	s.Do(func() {
		s.Answer = func(p string) (string, bool) {
			if p[0] == prefix && first {
				first = false
				cancel()
				time.Sleep(20 * time.Millisecond)
			}
			return "", false
		}
	})
	return ctx
}

func leavesClean(t *testing.T, s *stubtest.Stub, c *Client) {
	t.Helper()
	f, err := c.Leave(bg)
	if err != nil || !f.Running || f.Note != "" || !c.Undone() || s.Breaks() != 0 {
		t.Fatalf("%+v, %v, undone %v, %d breakpoints in it", f, err, c.Undone(), s.Breaks())
	}
}

// What was asked of the stub is done, whether or not its answer was waited for.
func TestAbandonedRemove(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	b := target.Breakpoint{Addr: stubtest.Base}
	must(t, c.Insert(bg, b))
	if err := c.Remove(abandoned(s, 'z'), b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	leavesClean(t, s, c)
}

func TestAbandonedInsert(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	b := target.Breakpoint{Addr: stubtest.Base}
	if err := c.Insert(abandoned(s, 'Z'), b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(t, c.Remove(bg, b))
	if n := s.Breaks(); n != 0 {
		t.Fatal(n, "breakpoints in it")
	}
	if err := c.Insert(abandoned(s, 'Z'), b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(t, c.Insert(bg, b))
	leavesClean(t, s, c)
}

func TestAbandonedPatch(t *testing.T) {
	s := stubtest.Unikraft()
	c := dial(t, s, Options{})
	b := target.Breakpoint{Addr: stubtest.Base + 0x40}
	if err := c.Insert(abandoned(s, 'M'), b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	_, err := c.Leave(bg)
	must(t, err)
	s.Do(func() {
		if got, want := s.Mem[0x40], stubtest.Byte(b.Addr); got != want {
			t.Errorf("text is left as %#x, it was %#x", got, want)
		}
	})
}
