package gdbstub

import (
	"errors"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// serving is a guest that serves, stopped by a client.
func serving(t *testing.T) (*guesttest.VM, *Client) {
	t.Helper()
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	vm.WaitConsole(t, "requests served", 30*time.Second)
	spec, err := target.ParseSpec(vm.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return vm, c
}

// TestHaltQEMU stops and lets run again and again, as a profile does: every stop is
// told once, and afterwards events come through their channel as before.
func TestHaltQEMU(t *testing.T) {
	vm, c := serving(t)
	defer c.Close()
	before := c.Stats().Stops
	c.Sampling(true)
	const n = 200
	for i := range n {
		if err := c.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i%7) * time.Millisecond) // more and less than the reading goroutine's patience
		e, err := c.Halt(t.Context())
		if err != nil || e.Kind != target.EventStopped || e.Stop.Reason != target.StopInterrupt {
			t.Fatalf("halt %d: %+v, %v", i, e, err)
		}
		if _, err := c.ReadAllRegisters(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Sampling(false)
	if got := c.Stats().Stops - before; got != n {
		t.Errorf("%d stops, want %d", got, n)
	}
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Interrupt(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-c.Events():
		if e.Kind != target.EventStopped {
			t.Errorf("%+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no event after Sampling ended")
	}
	// Without Sampling, Halt takes the channel's.
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Halt(t.Context()); err != nil || e.Kind != target.EventStopped {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := c.Leave(t.Context()); err != nil || !vm.Running(t) {
		t.Errorf("leaving: %v", err)
	}
}

// TestHaltOfAGuestThatEnds: the end is told to who waits for a stop, and closing
// during Sampling leaves nobody waiting.
func TestHaltOfAGuestThatEnds(t *testing.T) {
	vm, c := serving(t)
	c.Sampling(true)
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Halt(t.Context()); err != nil || e.Kind != target.EventStopped {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	vm.Kill()
	e, err := c.Halt(t.Context())
	if err == nil && e.Kind != target.EventLost && e.Kind != target.EventExited || err != nil && !errors.Is(err, target.ErrLost) {
		t.Errorf("%+v, %v", e, err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Close() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
}
