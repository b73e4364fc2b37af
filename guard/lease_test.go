//go:build linux

package guard

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the guard saw of one stop it does not act upon in the next: its order would
// find a guest that runs, which stops at any byte.
func TestOrderIsForItsStop(t *testing.T) {
	l, err := newLease(time.Hour, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	stub := func() string {
		var buf [64]byte
		n, _, err := unix.Recvfrom(pair[1], buf[:], unix.MSG_DONTWAIT)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
	if _, err := unix.Write(pair[1], []byte("$T02thread:01;#04")); err != nil { // not read by the client yet
		t.Fatal(err)
	}
	order := []byte("$vCont;c#a8")
	p := &process{dir: folder{path: t.TempDir()}}
	end := func(word uint32) bool { return p.endBy(pair[0], l, word, len(order)) }

	l.Ask(time.Now())
	asked := l.state.Load()
	if !l.Stopped(order) || l.state.Load()&leaseMask != leaseHeld {
		t.Fatalf("state %#x", l.state.Load())
	}
	held := l.state.Load()
	stop, ok := l.Begin()
	if !ok || !l.is(leaseWriting) {
		t.Fatalf("state %#x", l.state.Load())
	}
	if again, ok := l.Begin(); !ok || again != stop { // a second goroutine
		t.Fatalf("state %#x", l.state.Load())
	}
	l.End(stop)
	if end(held) || end(asked) {
		t.Error("the guard writes while the client does")
	}
	l.End(stop)
	if !l.is(leaseHeld) || end(asked) {
		t.Error("the guard acts upon a stop that was not told yet")
	}
	l.Over()
	l.Ask(time.Now()) // the next one
	if end(asked) || end(held) || stub() != "" {
		t.Error("the guard acts upon the stop before")
	}
	if !l.Stopped(order) || end(held) || stub() != "" {
		t.Error("the guard acts upon the stop before")
	}
	if _, ok := l.Begin(); !ok {
		t.Fatal("it may not write")
	}
	if l.End(stop); !l.is(leaseWriting) {
		t.Error("a writer of the stop before gives this one's word back")
	}
	l.End(l.state.Load() &^ leaseMask)
	now := l.state.Load()
	if !end(now) || stub() != string(order) || !l.is(leaseEnded) {
		t.Errorf("its own stop is not ended: state %#x", l.state.Load())
	}
	if _, ok := l.Begin(); ok || l.Stopped(order) || end(now) || end(l.state.Load()&^leaseMask|leaseHeld) || stub() != "" {
		t.Error("it is ended twice, or the client writes to a guest that runs")
	}
	l.Over()
	for range 20 { // the count goes on and leaves the state alone
		l.Ask(time.Now())
		if !l.is(leaseAsked) {
			t.Fatalf("state %#x", l.state.Load())
		}
		l.Over()
		if !l.is(leaseIdle) {
			t.Fatalf("state %#x", l.state.Load())
		}
	}
}

// Who finds the guard about to write its order waits for it: what is sent then is
// behind the order, not before.
func TestOrderGoesFirst(t *testing.T) {
	l, err := newLease(time.Hour, 0)
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ {
		l.Ask(time.Now())
		if !l.Stopped(nil) {
			t.Fatal("it is let run already")
		}
		l.change(leaseHeld, leaseEnding)
		var written atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(5 * time.Millisecond)
			written.Store(true)
			l.change(leaseEnding, leaseEnded)
		}()
		began := time.Now()
		_, ok := l.Begin()
		waited, first := time.Since(began), written.Load()
		<-done
		if ok || !first && waited < endingPatience {
			t.Fatalf("may write: %v, the order was written: %v", ok, first)
		}
		if first {
			break
		}
		// The guard's order came later than it is waited for: a slow machine.
		if try == 100 {
			t.Fatal("it is never waited for")
		}
		l.Over()
	}
	// A guard that was killed in the middle of it is not waited for, for ever.
	l.change(leaseEnded, leaseEnding)
	if _, ok := l.Begin(); ok {
		t.Error("it may write to a guest that runs, perhaps")
	}
}
