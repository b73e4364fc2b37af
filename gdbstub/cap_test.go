package gdbstub

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// capped dials a running QEMU-like stub whose stops may last 50 ms.
func capped(t *testing.T, s *stubtest.Stub, lease Lease) *Client {
	t.Helper()
	s.Running = true
	return dial(t, s, Options{ReadOnly: true, MaxPause: 50 * time.Millisecond, Lease: lease})
}

// stopIt asks for a stop and waits for it.
func stopIt(t *testing.T, c *Client) {
	t.Helper()
	must(t, c.Interrupt(bg))
	for {
		select {
		case e := <-c.Events():
			if e.Kind == target.EventStopped {
				return
			}
		case <-time.After(5 * time.Second):
			t.Fatal("it does not stop")
		}
	}
}

// stands reports whether the scripted guest does.
func stands(s *stubtest.Stub) (yes bool) {
	s.Do(func() { yes = !s.Running })
	return yes
}

func letRunWithin(t *testing.T, s *stubtest.Stub, d time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(d); stands(s); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the guest stands")
		}
	}
}

// A stop is ended though its owner does nothing: what it asks for later fails by
// name, Resume has nothing left to do, and no packet stops the guest again.
func TestCapEndsAStop(t *testing.T) {
	s := stubtest.QEMU()
	c := capped(t, s, nil)
	must(t, c.Resume(bg))
	for range 3 {
		stopIt(t, c)
		letRunWithin(t, s, 5*time.Second)
		if _, err := c.ReadMemory(bg, make([]byte, 8), stubtest.Base); !errors.Is(err, target.ErrLapsed) {
			t.Fatalf("read after the cap: %v", err)
		}
		must(t, c.Resume(bg))
		if stands(s) {
			t.Fatal("it was stopped again")
		}
	}
	// In time it is read.
	stopIt(t, c)
	if _, err := c.ReadMemory(bg, make([]byte, 8), stubtest.Base); err != nil && !errors.Is(err, target.ErrLapsed) {
		t.Fatal(err)
	}
	must(t, c.Resume(bg))
	f, err := c.Leave(bg)
	if err != nil || !f.Running || f.Lapsed < 3 || f.Latest < f.Longest {
		t.Errorf("%+v, %v", f, err)
	}
	if stands(s) {
		t.Error("it stands after all")
	}
}

// The attachment's own stop is one, too: it is ended in the middle of the questions
// and begun again for the rest.
func TestCapWhileAttaching(t *testing.T) {
	s := stubtest.QEMU()
	slow := 2
	s.Answer = func(p string) (string, bool) {
		if strings.HasPrefix(p, "qXfer:features:read:") && slow > 0 && !strings.Contains(p, "target.xml:0,") {
			slow--
			time.Sleep(60 * time.Millisecond)
		}
		return "", false
	}
	c := capped(t, s, nil)
	if running, known := c.FoundRunning(); !running || !known || c.Arch() == nil {
		t.Errorf("found running %v, known %v, arch %v", running, known, c.Arch())
	}
	must(t, c.Resume(bg))
	f, err := c.Leave(bg)
	if err != nil || !f.Running || stands(s) {
		t.Errorf("%+v, %v", f, err)
	}
}

// A flow that is cut short keeps what was answered, and what was in flight when the
// order to run was written is answered before it.
func TestCapCutsAFlowShort(t *testing.T) {
	s := stubtest.QEMU()
	var mem int
	s.Answer = func(p string) (string, bool) {
		if p[0] == 'm' {
			mem++
			time.Sleep(5 * time.Millisecond)
		}
		return "", false
	}
	c := capped(t, s, nil)
	must(t, c.Resume(bg))
	stopIt(t, c)
	var ranges []target.Range
	for i := range 200 {
		ranges = append(ranges, target.Range{Addr: stubtest.Base + uint64(8*(i%8)), Data: make([]byte, 8)})
	}
	if err := c.ReadMany(bg, ranges); !errors.Is(err, target.ErrLapsed) {
		t.Fatalf("%v", err)
	}
	read := 0
	for i := range ranges {
		if ranges[i].N == 8 && ranges[i].Err == nil {
			read++
		} else if !errors.Is(ranges[i].Err, target.ErrLapsed) {
			t.Errorf("range %d: %d bytes, %v", i, ranges[i].N, ranges[i].Err)
		}
	}
	letRunWithin(t, s, 5*time.Second)
	s.Do(func() {
		if read != mem || read == 0 || read > 60 {
			t.Errorf("%d ranges read, %d answered", read, mem)
		}
	})
	got := s.Got()
	if last := got[len(got)-1]; last != "vCont;c" {
		t.Errorf("the last packet is %q", last)
	}
}

// another is a lease whose holder has let the guest run in every stop.
type another struct {
	mu    sync.Mutex
	s     *stubtest.Stub
	ended bool
}

func (a *another) Ask(time.Time)        {}
func (a *another) Stopped([]byte) bool  { return true }
func (a *another) Ended() time.Duration { return time.Millisecond }
func (a *another) End(uint32)           {}
func (a *another) Over()                {}
func (a *another) Begin() (uint32, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return 0, !a.ended
}

// Where another process has let the guest run, nothing is sent to it.
func TestLeaseEnded(t *testing.T) {
	s := stubtest.QEMU()
	l := &another{s: s}
	c := capped(t, s, l)
	must(t, c.Resume(bg))
	stopIt(t, c)
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	s.Do(func() { s.Running = true })
	if _, err := c.ReadRegisters(bg, 0); !errors.Is(err, target.ErrLapsed) {
		t.Errorf("%v", err)
	}
	must(t, c.Resume(bg))
	if stands(s) || !c.Running() {
		t.Error("it was stopped again")
	}
	if st := c.Stats(); st.Lapsed != 1 {
		t.Errorf("%+v", st)
	}
}
