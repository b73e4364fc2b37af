package gdbstub

import (
	"context"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// What a test waits for and asks of a client, whatever stub is behind it.

// wait returns the next event that is not output.
func wait(t testing.TB, c *Client) target.Event {
	t.Helper()
	for {
		select {
		case e, ok := <-c.Events():
			if !ok {
				t.Fatal("events ended")
			}
			if e.Kind == target.EventOutput {
				continue
			}
			return e
		case <-time.After(5 * time.Second):
			t.Fatal("no event for 5 s")
		}
	}
}

func wantStop(t testing.TB, c *Client, reason target.StopReason) target.Stop {
	t.Helper()
	e := wait(t, c)
	if e.Kind != target.EventStopped || e.Stop.Reason != reason || e.Err != nil {
		t.Fatalf("event %+v, want a stop for reason %d", e, reason)
	}
	return e.Stop
}

func pc(t testing.TB, c *Client, cpu target.CPU) uint64 {
	t.Helper()
	r, err := c.ReadRegisters(context.Background(), cpu)
	if err != nil {
		t.Fatal(err)
	}
	return r.PC()
}

func leave(t testing.TB, c *Client) target.Farewell {
	t.Helper()
	f, err := c.Leave(context.Background())
	if err != nil || f.Note != "" {
		t.Fatalf("leaving: %v, note %q", err, f.Note)
	}
	return f
}
