package guard

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// frozen waits until a process is suspended by a signal.
func (c *client) frozen(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
		if f := statFields(fmt.Sprint("/proc/", c.cmd.Process.Pid)); len(f) > 0 && f[0] == "T" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not suspended")
		}
	}
}

// A stop whose client is suspended in the middle of it is ended by the guard at the
// cap, by its own write on the same link. The client is not ended for it: it finds
// out, and leaves as ever.
func TestGuardEndsAStop(t *testing.T) {
	const most = 500 * time.Millisecond
	for _, kind := range []string{"unix", "tcp"} {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: kind})
		short := guesttest.Shortage()
		c := start(t, order{Target: g.GDBAddr(), MaxPause: most, Freeze: true, Run: true})
		c.frozen(t)
		for deadline := time.Now().Add(soon); !g.Running(t); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the guest stands\n%s", logs(c.state))
			}
		}
		late := guesttest.Shortage() - short
		time.Sleep(backstopFactor*most + 2*backstopSlack) // nor is it ended later
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(c.out)
		if err != nil || !strings.Contains(string(said), "lapsed true") || !strings.Contains(string(said), "left true") {
			t.Errorf("%v: it said %s", err, said)
		}
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("the client: %v", err)
		}
		g.mustBeAsFound(t, c.state, true, soon)
		var longest time.Duration
		for _, d := range g.Pauses(0) {
			longest = max(longest, d)
		}
		if longest < most/2 || longest > most+500*time.Millisecond+late {
			t.Errorf("%s: the longest stop took %v, %v is allowed", kind, longest, most)
		}
		t.Logf("%s: %d stops, the longest %v of %v", kind, len(g.Pauses(0)), longest, most)
	}
}

// The same, and the client is killed before it can find out: the guest that runs is
// left alone.
func TestGuardEndsAStopOfOneThatDies(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), MaxPause: 300 * time.Millisecond, Freeze: true, Run: true})
	c.frozen(t)
	for deadline := time.Now().Add(soon); !g.Running(t); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the guest stands")
		}
	}
	before := len(g.Pauses(0))
	c.kill()
	g.mustBeAsFound(t, c.state, true, soon)
	if n := len(g.Pauses(0)); n != before {
		t.Errorf("%d stops more, to leave a guest that ran", n-before)
	}
}

// A client without a cap, suspended while its guest stands with a breakpoint in it,
// is ended after a while. One that only waits for its person is not.
func TestHungClient(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), HungAfter: 2 * time.Second, Break: []uint64{g.sym["fault_null"]}})
	time.Sleep(3 * time.Second)
	if g.Running(t) || statFields(fmt.Sprint("/proc/", c.cmd.Process.Pid)) == nil {
		t.Fatalf("a client that runs was ended\n%s", logs(c.state))
	}
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	g.mustBeAsFound(t, c.state, true, 2*time.Second+soon)
	if err := c.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the client: %v", err)
	}
	f, err := os.Open(filepath.Join(c.state, auditName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := false
	for s := bufio.NewScanner(f); s.Scan(); {
		told = told || strings.Contains(s.Text(), `"event":"guard"`)
	}
	if !told {
		t.Error("the audit log does not tell of it")
	}
}

// Where the guard cannot write an order that is surely between two packets, as on
// the pipes of a command, a client that keeps the guest stopped is ended.
func TestBackstop(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const most = 200 * time.Millisecond
	c := start(t, order{Target: "exec:" + self + " proxy " + strings.TrimPrefix(g.GDBAddr(), "unix:"), MaxPause: most, Freeze: true, Run: true})
	g.mustBeAsFound(t, c.state, true, backstopFactor*most+backstopSlack+soon)
	if err := c.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the client: %v", err)
	}
}

// The guard's order is the last thing its client saw of the guest, and the VMM has not
// read it when the client dies: the link is not let go of before it has.
func TestGuardsOrderIsNotLost(t *testing.T) {
	for _, kind := range []string{"unix", "tcp"} {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: kind})
		c := start(t, order{Target: g.GDBAddr(), MaxPause: 300 * time.Millisecond, Freeze: true, Run: true})
		c.frozen(t)
		if err := syscall.Kill(g.Pid(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(soon); !strings.Contains(logs(c.state), "ended a stop"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the stop was not ended\n%s", kind, logs(c.state))
			}
		}
		c.kill()
		time.Sleep(250 * time.Millisecond) // the guard has taken over
		if err := syscall.Kill(g.Pid(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		g.mustBeAsFound(t, c.state, true, 2*soon)
	}
}
