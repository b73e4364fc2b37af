package qmp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// answering is a monitor that answers each line after some time.
func answering(slow time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, hello)
		for in := bufio.NewScanner(c); in.Scan(); {
			time.Sleep(slow)
			io.WriteString(c, `{"return": ""}`+"\n")
		}
	}
}

// row runs n commands and yields between them.
func row(t *testing.T, m Monitor, n int) error {
	return m.Do(t.Context(), func(c *Conn) error {
		for range n {
			if _, err := c.HMP(t.Context(), "info status"); err != nil {
				return err
			}
			if err := c.Yield(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestYield: a long row of commands lets others in after a number of commands and
// after a time, whichever comes first, and the meter tells how long they waited.
func TestYield(t *testing.T) {
	for name, c := range map[string]struct {
		slow              time.Duration
		n                 int
		connections, most int
	}{
		"a short row":    {0, batchCommands - 1, 1, batchCommands - 1},
		"by number":      {0, 5 * batchCommands, 6, batchCommands}, // the last one gives it back as well
		"by time":        {batchTime, 4, 5, 1},
		"nothing at all": {0, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := serve(t, answering(c.slow))
			m.Meter = &Meter{}
			if err := row(t, m, c.n); err != nil {
				t.Fatal(err)
			}
			u := m.Meter.Use()
			late := c.slow == 0 && u.Longest >= batchTime // a loaded machine gives back by time
			if u.Commands != c.n || !late && (u.Connections != c.connections || u.Most != c.most) || u.Most > batchCommands {
				t.Errorf("%+v, want %d commands on %d connections, %d on one", u, c.n, c.connections, c.most)
			}
			if u.Longest < c.slow {
				t.Errorf("held for %v, though each answer took %v", u.Longest, c.slow)
			}
		})
	}
}

// TestYieldServesOthers: who waits is served in the middle of a row, and waits no
// longer than one batch.
func TestYieldServesOthers(t *testing.T) {
	const slow = 5 * time.Millisecond
	ours := serve(t, answering(slow))
	ours.Meter = &Meter{}
	theirs := Monitor{Path: ours.Path, Timeout: ours.Timeout}
	var wg sync.WaitGroup
	over := make(chan struct{})
	served, longest := 0, time.Duration(0)
	wg.Go(func() {
		for {
			began := time.Now()
			if err := row(t, theirs, 1); err != nil {
				t.Error(err)
				return
			}
			longest = max(longest, time.Since(began))
			select {
			case <-over:
				return
			default:
				served++ // in the middle of ours
			}
		}
	})
	short := guesttest.Shortage()
	if err := row(t, ours, 40); err != nil {
		t.Error(err)
	}
	close(over)
	wg.Wait()
	u := ours.Meter.Use()
	if served < u.Connections/2 || u.Connections < 40*int(slow)/int(batchTime+slow) {
		t.Errorf("%d others were served while we had the monitor %d times", served, u.Connections)
	}
	// Their own answers take their time too, and the scheduler of a loaded host.
	if longest > max(u.Longest+20*slow, 200*time.Millisecond)+guesttest.Shortage()-short {
		t.Errorf("they waited for %v, we held it for %v", longest, u.Longest)
	}
}

// TestYieldGone: a monitor that is gone, or another process's, after it was
// given back is an error, and ends the connection for good.
func TestYieldGone(t *testing.T) {
	calls := 0
	m := serve(t, func(c net.Conn) {
		if calls++; calls > 1 {
			return // closed without a greeting
		}
		answering(0)(c)
	})
	m.Meter = &Meter{}
	err := m.Do(t.Context(), func(c *Conn) error {
		for range batchCommands {
			if _, err := c.HMP(t.Context(), "info status"); err != nil {
				t.Fatal(err)
			}
		}
		first := c.Yield(t.Context())
		if _, err := c.HMP(t.Context(), "info status"); err == nil {
			t.Error("a command was run on a monitor that is gone")
		}
		if err := c.Yield(t.Context()); err != nil {
			t.Errorf("once it is broken Yield does nothing: %v", err)
		}
		return first
	})
	if !errors.Is(err, ErrGone) {
		t.Errorf("%v, want %v", err, ErrGone)
	}
	if u := m.Meter.Use(); u.Connections != 1 || u.Commands != batchCommands {
		t.Errorf("%+v", u)
	}
}
