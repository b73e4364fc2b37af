package guard

import (
	"context"
	"errors"
	"github.com/ukdbg/ukdbg/target"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
)

// An operator closes the stub of a VM that is left stopped: nothing listens
// there any more, and the guest is far from gone.
func TestRecoverWithoutStub(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true})
	c := start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["serve"]}, Run: true})
	// The guard has said what VMM it is.
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		list, err := filepath.Glob(filepath.Join(guardDir(c.state), "*", "journal"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if st, err := journal.Load(list[0]); err == nil && st.VMM.PID == g.Pid() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the guard does not find the VMM")
		}
	}
	killBoth(t, c)
	for began := time.Now(); g.Running(t) && time.Since(began) < soon; time.Sleep(time.Millisecond) {
	} // the breakpoint is hit
	g.HMP(t, "gdbserver none")
	if g.Running(t) {
		t.Fatal("the guest runs: the test shows nothing")
	}
	list := Recover(context.Background(), Options{State: c.state})
	if len(list) != 1 || list[0].Err != nil || !strings.Contains(list[0].How, "monitor") {
		t.Errorf("%+v", list)
	}
	g.mustBeAsFound(t, c.state, true, soon)
}

// A guest that took the address of one that is gone is none of ours: it is not
// stopped, and nothing is written to it.
func TestRecoverOtherGuest(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	state := guesttest.StateDir(t)
	dir := filepath.Join(guardDir(state), "old")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := journal.Create(filepath.Join(dir, "journal"), journal.Begin{
		Spec: g.GDBAddr(), Client: journal.Process{PID: 1 << 30}, Created: time.Now(), Boot: thisBoot(), SinceBoot: time.Second, Arch: "x86_64",
	})
	if err != nil {
		t.Fatal(err)
	}
	at := g.sym["serve"]
	for _, r := range []journal.Record{
		journal.Connecting{}, journal.Attached{QEMU: true, Found: journal.Running, LeaveRunning: true},
		journal.MemoryChanged{Memory: journal.Memory{Addr: at, Old: []byte{0xf4, 0xf4}}},
	} {
		if err := w.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list := Recover(context.Background(), Options{State: state})
	if len(list) != 1 || list[0].Err != nil || !strings.Contains(list[0].How, "the guest is gone") {
		t.Errorf("%+v", list)
	}
	for _, e := range g.Events() {
		t.Errorf("%s at %v", e.Name, e.Time())
	}
	g.mustBeAsFound(t, state, true, soon)
}

// The next attachment by the same monitor finishes what a dead one left, though
// its stub was another.
func TestNextTemporaryStub(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	c := start(t, order{TempMonitor: g.QMPPath, Break: []uint64{g.sym["serve"]}})
	killBoth(t, c)
	if g.Running(t) {
		t.Fatal("the guest runs: the test shows nothing")
	}
	told := 0
	a, err := TemporaryStub(context.Background(), qmp.Monitor{Path: g.QMPPath},
		Options{Command: Self(), State: c.state, Told: func(Report) { told++ }}, gdbstub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bye, err := a.Leave(context.Background())
	if err != nil || !bye.Running || told != 1 {
		t.Errorf("%+v, %v, told %d times", bye, err, told)
	}
	g.mustBeAsFound(t, c.state, true, soon)
	if n := g.stubs(t); n != 0 {
		t.Errorf("%d stubs are left", n)
	}
}

// A stub that somebody opened through the monitor is theirs.
func TestTemporaryStubOfOthers(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	g.HMP(t, "gdbserver tcp:127.0.0.1:0")
	_, err := TemporaryStub(context.Background(), qmp.Monitor{Path: g.QMPPath}, Options{Command: Self(), State: guesttest.StateDir(t)}, gdbstub.Options{})
	if err == nil || !strings.Contains(err.Error(), "tcp:127.0.0.1:") {
		t.Error(err)
	}
	if n := g.stubs(t); n != 1 || !g.Running(t) {
		t.Errorf("%d stubs, running %v", n, g.Running(t))
	}
}

// A debugger that attached since is somebody's at work: nothing is taken from it, and
// the rest is done when it has gone.
func TestRecoverWhileAnotherDebugs(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["serve"]}})
	killBoth(t, c)
	spec, err := target.ParseSpec(g.GDBAddr())
	if err != nil {
		t.Fatal(err)
	}
	other, err := gdbstub.Dial(t.Context(), spec, gdbstub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := Recover(context.Background(), Options{State: c.state, Monitor: g.QMPPath})
	if len(list) != 1 || !errors.Is(list[0].Err, gdbstub.ErrBusy) || !strings.Contains(list[0].Err.Error(), "another debugger is connected") {
		t.Fatalf("%+v", list)
	}
	if _, err := other.ReadRegisters(t.Context(), 0); err != nil || g.Running(t) {
		t.Errorf("the other's session: %v; the guest runs: %v", err, g.Running(t))
	}
	if _, err := other.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list = Recover(context.Background(), Options{State: c.state, Monitor: g.QMPPath}); len(list) != 1 || list[0].Err != nil {
		t.Errorf("%+v", list)
	}
	g.mustBeAsFound(t, c.state, true, soon)
}
