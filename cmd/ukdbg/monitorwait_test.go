package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
)

const (
	// mayWait is how long another tool's client of a monitor may wait for us, and
	// mayHold for how long we may have the monitor at a time.
	mayWait = 100 * time.Millisecond
	mayHold = 50 * time.Millisecond
)

// neighbours are other tools' clients of a monitor: each connects, asks for the run
// state and goes, again and again.
type neighbours struct {
	over    chan struct{}
	wg      sync.WaitGroup
	mu      sync.Mutex
	asked   int
	longest time.Duration // but for what the machine was too busy
	failed  error
}

// neighbour is one that asks so often.
func (n *neighbours) add(path string, every time.Duration) {
	n.wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			began := startWatch()
			err := qmp.Monitor{Path: path}.Do(context.Background(), func(c *qmp.Conn) error {
				_, err := c.HMP(context.Background(), "info status")
				return err
			})
			_, d := began.took()
			n.mu.Lock()
			n.asked, n.longest = n.asked+1, max(n.longest, d)
			if n.failed == nil {
				n.failed = err
			}
			n.mu.Unlock()
			select {
			case <-tick.C:
			case <-n.over:
				return
			}
		}
	})
}

// meet has clients of kraft's kind, one a second, and one twenty times as eager use a
// monitor until the function it returns is called.
func meet(t *testing.T, path string) (part func() (longest time.Duration)) {
	n := &neighbours{over: make(chan struct{})}
	n.add(path, time.Second)
	n.add(path, 50*time.Millisecond)
	return func() time.Duration {
		close(n.over)
		n.wg.Wait()
		if n.failed != nil {
			t.Errorf("a client of the monitor: %v", n.failed)
		}
		t.Logf("%d questions of others, none waited longer than %v", n.asked, n.longest)
		return n.longest
	}
}

var heldFor = regexp.MustCompile(`held for longer than ([0-9.]+) ?(ms|s|µs)`)

// held reads what a verb says of how long it had the monitor at most.
func held(t *testing.T, text string) time.Duration {
	t.Helper()
	m := heldFor.FindStringSubmatch(text)
	if m == nil {
		t.Errorf("nothing is told of the monitor:\n%s", text)
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Error(err)
	}
	return time.Duration(v * float64(map[string]time.Duration{"µs": time.Microsecond, "ms": time.Millisecond, "s": time.Second}[m[2]]))
}

// TestMonitorIsShared: whoever else uses a guest's monitor is served while we do:
// during every observing verb, a session that takes the guest over, and a profile
// that asks for registers a hundred times a second. Each tells for how long it had
// the monitor at most.
func TestMonitorIsShared(t *testing.T) {
	hmp := filepath.Join(t.TempDir(), "mon")
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, Args: []string{"-monitor", "unix:" + hmp + ",server=on,wait=off"}})
	g.mustServe(t)
	for _, path := range []string{g.QMPPath, hmp} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			alone := meet(t, path)
			time.Sleep(1500 * time.Millisecond)
			usual := alone()
			ours, at := time.Duration(0), "qmp:"+path
			part := meet(t, path)
			for _, words := range [][]string{
				{"threads", "--stacks", at},
				{"heap", at},
				{"trace", "list", "--last", "20", at},
				{"trace", "summary", at},
				{"crash", at},
				{"profile", "--duration", "2s", "--hz", "100", "--top", "5", at},
				{"profile", "wall", "--duration", "1s", "--top", "5", at},
				{"attach", at, "--batch", "--ex", "threads", "--ex", "bt all", "--ex", "heap", "--ex", "info target"},
				{"attach", at, "--batch", "--ex", "break serve", "--ex", "continue", "--ex", "bt", "--ex", "step", "--ex", "delete", "--ex", "observe", "--ex", "threads"},
				{"dump", at, "--minimal", "-o", filepath.Join(t.TempDir(), "dump")},
				{"doctor", fmt.Sprint("pid:", g.Pid())},
			} {
				short := guesttest.Shortage()
				status, out, errs := verb(t, "", append(words, "-e", g.Debug)...)
				if status != exitOK {
					t.Errorf("%v: status %d\n%s%s", words, status, out, errs)
					continue
				}
				d := held(t, out+errs)
				if d > mayHold+load()+guesttest.Shortage()-short {
					t.Errorf("%v: the monitor was held for %v", words, d)
				}
				ours = max(ours, d)
			}
			waited := part()
			t.Logf("held for %v at most; without us others wait %v", ours, usual)
			if waited > mayWait+load() {
				t.Errorf("others waited for %v", waited)
			}
			// Two that ask at once wait for each other too, and each of them, QEMU and we for
			// one of this machine's processors.
			if most := ours + 2*usual + 50*time.Millisecond + load(); waited > most {
				t.Errorf("others waited for %v, and we say that we had the monitor for %v", waited, ours)
			}
		})
	}
	g.mustRun(t, true)
	g.mustServe(t)
}
