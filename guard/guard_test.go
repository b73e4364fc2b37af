package guard

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// Patience of these tests on a loaded machine: what is promised in
// milliseconds is measured by the kill tests of the command.
const soon = 2 * time.Minute

// A folder that cannot be written is told before the guest is touched.
func TestNoStateFolder(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	spec, err := target.ParseSpec(g.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Attach(context.Background(), spec, Options{Command: Self(), State: "/dev/null/x"}, gdbstub.Options{})
	if err == nil || !strings.Contains(err.Error(), "XDG_STATE_HOME") {
		t.Errorf("%v", err)
	}
	if !g.Running(t) {
		t.Error("it was stopped")
	}
	for _, e := range g.Events() {
		if e.Name == "STOP" {
			t.Error("it was stopped once")
		}
	}
}

// Both processes die between the connection and the stub's first word. How the
// guest was then is told by when its processors last ran.
func TestKilledBeforeFirstWord(t *testing.T) {
	if _, ok := execStart("/proc/self/task/" + fmt.Sprint(os.Getpid())); !ok {
		t.Skip("not run: this kernel does not tell when a thread last ran")
	}
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	for _, running := range []bool{true, false, true, false} {
		if !running {
			g.QMP(t, "stop", nil)
			time.Sleep(100 * time.Millisecond)
		}
		state := guesttest.StateDir(t)
		dir, err := newFolder(state)
		if err != nil {
			t.Fatal(err)
		}
		w, err := journal.Create(dir.journal(), journal.Begin{Spec: g.GDBAddr(), Client: journal.Process{PID: 1 << 30}, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(journal.Connecting{At: monotonic()}); err != nil {
			t.Fatal(err)
		}
		w.Close()
		conn, err := net.Dial("unix", strings.TrimPrefix(g.GDBAddr(), "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		dir.lock.Close()
		for began := time.Now(); g.Running(t) && time.Since(began) < soon; time.Sleep(time.Millisecond) {
		} // QEMU takes a dead connection too, and stops the VM
		list := Recover(context.Background(), Options{State: state})
		if len(list) != 1 || list[0].Err != nil || list[0].Running != running {
			t.Errorf("found running %v: %+v", running, list)
		}
		g.mustBeAsFound(t, state, running, soon)
	}
}
