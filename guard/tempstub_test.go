package guard

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// A stub of our own, for a VM that has none, leaves nothing behind.
func TestTemporaryStub(t *testing.T) {
	for _, running := range []bool{true, false} {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
		if !running {
			g.QMP(t, "stop", nil)
		}
		state := guesttest.StateDir(t)
		ctx := context.Background()
		a, err := TemporaryStub(ctx, qmp.Monitor{Path: g.QMPPath}, Options{Command: Self(), State: state}, gdbstub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if found, known := a.FoundRunning(); !known || found != running || g.Running(t) {
			t.Errorf("found running %v, known %v; runs %v", found, known, g.Running(t))
		}
		socket := a.temp.socket()
		if st, err := os.Stat(filepath.Dir(socket)); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the stub's folder: %v, %v", st, err)
		}
		if err := a.Insert(ctx, target.Breakpoint{Addr: g.sym["serve"]}); err != nil {
			t.Fatal(err)
		}
		if err := a.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if e := <-a.Events(); e.Kind != target.EventStopped || e.Stop.Reason != target.StopBreakpoint {
			t.Errorf("%+v", e)
		}
		bye, err := a.Leave(ctx)
		if err != nil || bye.Running != running {
			t.Errorf("%+v, %v", bye, err)
		}
		if n := g.stubs(t); n != 0 {
			t.Errorf("%d stubs left", n)
		}
		if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
			t.Errorf("the stub's folder is still there: %v", err)
		}
		g.mustBeAsFound(t, state, running, soon)
		g.Kill()
	}
}

// The same when the client is killed, at a breakpoint or running.
func TestTemporaryStubKilled(t *testing.T) {
	for _, o := range []order{{}, {Run: true}, {Break: []uint64{0}}, {Break: []uint64{0}, Run: true}} {
		for _, running := range []bool{true, false} {
			g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
			if !running {
				g.QMP(t, "stop", nil)
			}
			for i := range o.Break {
				o.Break[i] = g.sym["serve"]
			}
			o.TempMonitor = g.QMPPath
			c := start(t, o)
			c.kill()
			g.mustBeAsFound(t, c.state, running, soon)
			if n := g.stubs(t); n != 0 {
				t.Errorf("%d stubs left", n)
			}
			g.Kill()
		}
	}
}

// Only one client a monitor: nothing is changed behind the back of the other.
func TestMonitorInUse(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true})
	held, err := net.Dial("unix", g.QMPPath)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	state := guesttest.StateDir(t)
	_, err = TemporaryStub(context.Background(), qmp.Monitor{Path: g.QMPPath}, Options{Command: Self(), State: state}, gdbstub.Options{})
	var busy *qmp.InUseError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	g.mustBeAsFound(t, state, true, soon)
}

// What was changed for the time of a session is put back, what a person set
// stays and is told.
func TestTemporaryWrites(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	at := g.sym["fault_null"] + 4 // text nobody runs
	for _, temporary := range []bool{true, false} {
		c := start(t, order{Target: g.GDBAddr(), Temporary: temporary, Write: map[uint64][]byte{at: {1, 2, 3}}})
		if got := g.memory(t, at, 3); string(got) != "\x01\x02\x03" {
			t.Fatalf("% x", got)
		}
		if temporary {
			c.kill()
			g.mustBeAsFound(t, c.state, true, soon)
			continue
		}
		killBoth(t, c)
		list := Recover(context.Background(), Options{State: c.state})
		if len(list) != 1 || list[0].Err != nil || !list[0].Running || !strings.Contains(list[0].String(), "3 bytes at") {
			t.Errorf("%v", list)
		}
		if got := g.memory(t, at, 3); string(got) != "\x01\x02\x03" {
			t.Errorf("% x", got)
		}
	}
}
