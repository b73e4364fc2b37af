package gdbstub

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// The quirks of QEMU's stub as to who lets the guest run and stops it.

func TestQuirkConnectingStopsARunningGuest(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	if ran, known := c.FoundRunning(); !ran || !known {
		t.Fatal(ran, known)
	}
	if stop := c.InitialStop(); stop.Reason != target.StopInterrupt || stop.CPU != 0 {
		t.Fatalf("%+v", stop)
	}
}

func TestQuirkAStoppedGuestSendsNoStopReply(t *testing.T) {
	s := stubtest.QEMU()
	s.Running = false
	s.Answer = monitorAnswers("7.2.22Debian 1:7.2+dfsg-7", "VM status: paused")
	c := dial(t, s, Options{})
	if ran, known := c.FoundRunning(); ran || !known {
		t.Fatal(ran, known)
	}
}

func TestQuirkQEMU81DoesNotTellThatTheGuestRan(t *testing.T) {
	for _, tc := range []struct {
		version, status string
		running, known  bool
		option          RunState
	}{
		{"8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)", "VM status: paused", false, false, RunUnknown},
		{"8.2.2", "VM status: paused (prelaunch)", false, true, RunUnknown},
		{"10.0.2", "VM status: paused (debug)", false, true, RunUnknown},
		{"8.0.5", "VM status: paused", false, true, RunUnknown},
		{"nonsense", "VM status: paused", false, false, RunUnknown},
		{"9.1.0", "VM status: paused", true, true, RunRunning},
		{"9.1.0", "VM status: paused", false, true, RunPaused},
	} {
		s := stubtest.QEMU()
		s.TellsNoStop = true
		s.Answer = monitorAnswers(tc.version, tc.status)
		c := dial(t, s, Options{Found: tc.option})
		if running, known := c.FoundRunning(); running != tc.running || known != tc.known {
			t.Errorf("%+v: running %v, known %v", tc, running, known)
		}
		f, err := c.Leave(bg)
		must(t, err)
		// What is not known is taken to have run, and that is said.
		if wantRun := tc.running || !tc.known; f.Running != wantRun || (f.Note == "") != tc.known {
			t.Errorf("%+v: farewell %+v", tc, f)
		}
	}
}

func TestQuirkAnyByteStopsARunningGuest(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg))
	running(t, s)
	before := len(s.Raw())
	regs := func() error { _, err := c.ReadRegisters(bg, 0); return err }
	for name, f := range map[string]func() error{
		"memory":    func() error { _, err := c.ReadMemory(bg, make([]byte, 4), stubtest.Base); return err },
		"registers": regs,
		"write":     func() error { return c.WriteMemory(bg, []byte{1}, stubtest.Base) },
		"insert":    func() error { return c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}) },
		"resume":    func() error { return c.Resume(bg) },
		"cpus":      func() error { _, err := c.CPUs(bg); return err },
		"monitor":   func() error { _, err := c.Monitor(bg, "info status"); return err },
	} {
		if err := f(); !errors.Is(err, ErrRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw := s.Raw()[before:]; raw != "" {
		t.Fatalf("sent to a running guest: %q", raw)
	}
	must(t, c.Interrupt(bg))
	wantStop(t, c, target.StopInterrupt)
	must(t, regs())
	must(t, c.Interrupt(bg)) // a stopped guest is left alone
}

func TestQuirkMultiprocessWantsTheProcessNamedInD(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	if s.Count("D;1") != 1 || s.Breaks() != 0 {
		t.Fatalf("%q", s.Got())
	}
}

func TestQuirkPausedGuestIsLeftWithoutD(t *testing.T) {
	s := stubtest.QEMU()
	s.Running = false
	s.Answer = monitorAnswers("7.2.0", "VM status: paused")
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	if f := leave(t, c); f.Running || f.Stops != 0 || f.Stopped != 0 {
		t.Fatalf("%+v", f)
	}
	if s.Count("D") != 0 || s.Breaks() != 0 {
		t.Fatalf("%q", s.Got())
	}
}

func TestQuirkSecondClientGetsNoReply(t *testing.T) {
	s := stubtest.QEMU()
	first := dial(t, s, Options{})
	began := time.Now()
	_, err := Dial(bg, s.Spec, Options{})
	if took := time.Since(began); !errors.Is(err, ErrBusy) || took > 2*time.Second {
		t.Fatalf("%v after %v", err, took)
	}
	leave(t, first)
	var served int
	c, err := Dial(bg, s.Spec, Options{})
	must(t, err)
	s.Do(func() { served = s.Served() })
	if served != 2 {
		t.Fatalf("the stub served %d connections, want 2: the refused client must not have queued up", served)
	}
	leave(t, c)
}

func TestQuirkStopThroughTheMonitorIsAStopReply(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Resume(bg))
	running(t, s)
	s.Stop("T02thread:p01.01;")
	wantStop(t, c, target.StopForeign)
	// Somebody runs it, and stops it again.
	s.Stop("T02thread:p01.01;")
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopForeign)
	if f := leave(t, c); f.Running {
		t.Fatal("somebody paused it, so it stays paused")
	}
}

func TestQuirkAPacketToAGuestSomebodyResumedIsSwallowed(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	for range 3 {
		s.Do(func() { s.Running = true })
		if _, err := c.ReadMemory(bg, make([]byte, 0x3000), stubtest.Base); !errors.Is(err, ErrMoved) {
			t.Fatal(err)
		}
		if e := wait(t, c); e.Kind != target.EventResumed {
			t.Fatalf("%+v", e)
		}
		wantStop(t, c, target.StopInterrupt)
		checkMemory(t, c, stubtest.Base, 0x3000)
	}
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
}

// The stop comes just before the packet, which is answered.
func TestQuirkAStopReplyBetweenRequestAndAnswer(t *testing.T) {
	s := stubtest.QEMU()
	once := true
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' && once {
			once = false
			stop, data := "T02thread:p01.01;", "00112233"
			return "raw:$" + stop + "#" + sum(stop) + "$" + data + "#" + sum(data), true
		}
		return "", false
	}
	c := dial(t, s, Options{})
	if _, err := c.ReadMemory(bg, make([]byte, 4), stubtest.Base); !errors.Is(err, ErrMoved) {
		t.Fatal(err)
	}
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopForeign)
	checkMemory(t, c, stubtest.Base, 64)
}

func TestLeaveAfterTheContextEnded(t *testing.T) {
	s := stubtest.QEMU()
	c := dial(t, s, Options{})
	must(t, c.Insert(bg, target.Breakpoint{Addr: stubtest.Base}))
	must(t, c.Resume(bg))
	running(t, s)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	f, err := c.Leave(ctx)
	if err != nil || !f.Running || f.Note != "" || s.Breaks() != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
}
