package gdbstub

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Somebody uses QEMU's monitor while we are attached.

func TestQEMUStoppedThroughMonitor(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	if err := c.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	v.qmp("stop")
	wantStop(t, c, target.StopForeign)
	if f := leave(t, c); f.Running || f.Stops != 1 {
		t.Fatalf("somebody paused it, and that is not our stop: %+v", f)
	}
	v.wantStatus("paused")
}

func TestQEMUResumedThroughMonitor(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	ctx := context.Background()
	ranges := make([]target.Range, 50)
	for range 20 {
		v.qmp("cont")
		for i := range ranges {
			ranges[i] = target.Range{Addr: v.sym["pattern"] + uint64(i), Data: make([]byte, 8)}
		}
		if err := c.ReadMany(ctx, ranges); !errors.Is(err, ErrMoved) {
			t.Fatalf("reading a guest somebody resumed: %v", err)
		}
		if e := wait(t, c); e.Kind != target.EventResumed {
			t.Fatalf("%+v", e)
		}
		wantStop(t, c, target.StopInterrupt)
		// The stream is in step again.
		if err := c.ReadMany(ctx, ranges); err != nil {
			t.Fatal(err)
		}
		for i, r := range ranges {
			if r.Err != nil || r.Data[0] != byte(i*7+i/256) {
				t.Fatalf("range %d: %x, %v", i, r.Data, r.Err)
			}
		}
	}
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	v.wantStatus("running")
}

func TestQEMUResumedAndStoppedThroughMonitor(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	v.qmp("cont")
	v.qmp("stop")
	if e := wait(t, c); e.Kind != target.EventResumed {
		t.Fatalf("%+v", e)
	}
	wantStop(t, c, target.StopForeign)
	if _, err := c.ReadRegisters(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	if f := leave(t, c); f.Running {
		t.Fatalf("%+v", f)
	}
	v.wantStatus("paused")
}

// A packet that meets a running guest is swallowed; Resume is such a packet.
func TestQEMUResumeOfARunningGuest(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	ctx := context.Background()
	v.qmp("cont")
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	wantStop(t, c, target.StopForeign)
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	v.wantStatus("running")
	if err := c.Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	wantStop(t, c, target.StopInterrupt)
	leave(t, c)
}

func TestQEMUMonitorCont(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	ctx := context.Background()
	if _, err := c.Monitor(ctx, "cont"); err != nil {
		t.Fatal(err)
	}
	v.wantStatus("running")
	if _, err := c.ReadRegisters(ctx, 0); !errors.Is(err, ErrMoved) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.ReadRegisters(ctx, 0); err != nil {
		t.Fatal(err)
	}
	leave(t, c)
	v.wantStatus("running")
}

func TestQEMUQuits(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	v.qmp("quit")
	if e := wait(t, c); e.Kind != target.EventExited || e.Status != 0 {
		t.Fatalf("%+v", e)
	}
	wantLost(t, c)
}

func TestQEMUDies(t *testing.T) {
	v := startVM(t, vmOptions{arch: "x86_64"})
	c := v.dial(Options{})
	if err := v.proc.Kill(); err != nil {
		t.Fatal(err)
	}
	wantLost(t, c)
	if f, err := c.Leave(context.Background()); !errors.Is(err, target.ErrLost) || f.Note == "" {
		t.Fatalf("%+v, %v", f, err)
	}
}

func wantLost(t testing.TB, c *Client) {
	t.Helper()
	e := wait(t, c)
	if e.Kind != target.EventLost || !errors.Is(e.Err, target.ErrLost) {
		t.Fatalf("%+v", e)
	}
	if _, ok := <-c.Events(); ok {
		t.Fatal("events go on after the loss")
	}
	if _, err := c.ReadRegisters(context.Background(), 0); !errors.Is(err, target.ErrLost) {
		t.Fatal(err)
	}
}

// A second client that can see beforehand that the stub is taken does not
// connect, and so does no harm.
func TestQEMUSecondClient(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		v := startVM(t, vmOptions{arch: "x86_64", tcp: tcp})
		first := v.dial(Options{})
		began := time.Now()
		_, err := Dial(context.Background(), v.gdb, Options{})
		if took := time.Since(began); !errors.Is(err, ErrBusy) || took > 2*time.Second {
			t.Fatalf("tcp %v: %v after %v", tcp, err, took)
		}
		if _, err := first.ReadRegisters(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		leave(t, first)
		time.Sleep(100 * time.Millisecond)
		v.wantStatus("running")
		again := v.dial(Options{}) // and the stub is free again at once
		leave(t, again)
	}
}

// A client that could not see it connects, and QEMU adopts that connection once
// the first has left, though it is dead by then. What it left in the stream
// makes the guest run again.
func TestQEMUSecondClientUnseen(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		v := startVM(t, vmOptions{arch: "x86_64", tcp: tcp})
		first := v.dial(Options{})
		conn, err := net.Dial(string(v.gdb.Scheme), v.gdb.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(v.gdb, Options{}.withDefaults(), conn.(link))
		began := time.Now()
		err = c.attach(context.Background())
		if took := time.Since(began); !errors.Is(err, ErrBusy) || took > 2*time.Second {
			t.Fatalf("tcp %v: %v after %v", tcp, err, took)
		}
		c.giveUp()
		leave(t, first)
		time.Sleep(200 * time.Millisecond)
		v.wantStatus("running")
	}
}
