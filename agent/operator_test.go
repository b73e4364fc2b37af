package agent

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// mayStop gives an agent what it needs to stop guests.
func mayStop(t testing.TB) func(*Options) {
	state := guesttest.StateDir(t)
	return func(o *Options) { o.Guard = guard.Options{Command: guard.Self(), State: state, Verb: "agent"} }
}

// A guest that an operator pauses stays paused until he lets it go, whatever the agent
// does with it at that moment, and is watched again then. Where the agent may stop it
// for samples, too.
func TestPausedByOperator(t *testing.T) {
	for way, opt := range map[string]guesttest.Options{"stub": {GDB: "unix"}, "monitor": {QMP: true}} {
		t.Run(way, func(t *testing.T) {
			name := unique(t, "operator-"+way)
			opt.Image, opt.Args = "ukguest-x86_64", []string{"-name", name}
			vm := guesttest.Start(t, opt)
			vm.WaitConsole(t, "requests served", patience)
			c := quick(t, name)
			c.Stops.Profile = 0.05
			a := run(t, c, mayStop(t))
			kept, undone := 0, 0
			for n := 0; kept < 3; n++ {
				before := a.guest(name, func(status.Guest) bool { return true }).Profile.At
				a.guest(name, func(g status.Guest) bool { return g.Profile.At.After(before) && g.Profile.Samples > 0 })
				time.Sleep(time.Duration(n%2) * 370 * time.Millisecond) // within a burst, between two
				vm.QMP(t, "stop", nil)
				if staysPaused(t, vm) {
					kept++
				} else {
					undone++
				}
				// An order that QEMU carries out inside a stop of ours leaves no sign that it was
				// given (docs/guard.md); where nothing is stopped there is no such order.
				if way == "monitor" && undone > 0 || undone > 3 {
					t.Fatalf("the agent let a guest run that an operator had paused, %d times of %d", undone, undone+kept)
				}
				vm.QMP(t, "cont", nil)
			}
			before := a.guest(name, func(status.Guest) bool { return true }).Profile.At
			a.guest(name, func(g status.Guest) bool { return g.Profile.At.After(before) })
			a.end()
			if !vm.Running(t) {
				t.Error("the guest was left stopped")
			}
		})
	}
}

// A stub that takes a connection and says nothing holds up no other guest, and a VMM
// that hangs altogether in the middle of a burst and then goes on leaves a guest that
// runs.
func TestHangingStub(t *testing.T) {
	snap := snapshotOf(t, "ukguest-x86_64")
	dead, good := unique(t, "stub-dead"), unique(t, "stub-good")
	socket := filepath.Join(shortDir(t), "gdb")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan net.Conn, 64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked <- conn
		}
	}()
	c := quick(t, unique(t, "stub-*"))
	c.Guests.Timeout, c.Limits.Workers, c.Profile.AtOnce = time.Second, 1, 1
	c.Stops.Profile = 0.05
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", Args: []string{"-name", good}})
	vm.WaitConsole(t, "requests served", patience)
	hung := fake(t, snap, fakevmm.Options{Name: dead, NoMonitor: true, Shared: true, Args: []string{"-gdb", "unix:" + socket + ",server=on,wait=off"}})
	if err := hung.Do("busy on"); err != nil {
		t.Fatal(err)
	}
	a := run(t, c, mayStop(t))
	select {
	case conn := <-asked:
		defer conn.Close()
	case <-time.After(patience):
		t.Fatal("the stub was not asked")
	}
	first := a.guest(good, func(g status.Guest) bool { return g.Profile.Samples > 0 }).Profile.At
	a.guest(dead, func(g status.Guest) bool { return strings.Contains(g.Problem, "profile failed") })
	a.guest(good, func(g status.Guest) bool { return g.Profile.At.After(first) })

	for range 2 {
		before := a.guest(good, known).Profile.At
		a.guest(good, func(g status.Guest) bool { return g.Profile.At.After(before) })
		time.Sleep(700 * time.Millisecond) // into the next burst
		if err := syscall.Kill(vm.Pid(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if err := syscall.Kill(vm.Pid(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	before := a.guest(good, known).Profile.At
	a.guest(good, func(g status.Guest) bool { return g.Profile.At.After(before) })
	a.end()
	if !vm.Running(t) {
		t.Error("the guest was left stopped")
	}
}

// What the page says would do by hand what the agent does, does.
func TestOneShotCommands(t *testing.T) {
	name := unique(t, "by-hand")
	log := filepath.Join(t.TempDir(), "console log")
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64-ring", QMP: true, Args: []string{"-name", name, "-serial", "file:" + log}})
	vm.WaitConsole(t, "requests served", patience)
	program := filepath.Join(t.TempDir(), "ukdbg")
	build := exec.Command("go", "build", "-o", program, "github.com/ukdbg/ukdbg/cmd/ukdbg")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := quick(t, name)
	c.Images.Dirs = []string{t.TempDir()}
	a := run(t, c, nil)
	g := a.guest(name, func(g status.Guest) bool { return g.Profile.Samples > 0 && g.Traces.Records > 0 && g.Console != "" })
	want := map[string]string{"image": name, "profile": "samples", "traces": "request_serve", "console": ""}
	for _, cmd := range g.Commands {
		text, ok := want[cmd.What]
		if !ok {
			t.Errorf("%s: %s", cmd.What, cmd.Line)
			continue
		}
		delete(want, cmd.What)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if cmd.What == "console" { // it follows until it is told to end
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
		}
		sh := exec.CommandContext(ctx, "sh", "-c", "exec "+strings.Replace(cmd.Line, "ukdbg", program, 1))
		sh.Cancel = func() error { return sh.Process.Signal(os.Interrupt) }
		sh.WaitDelay = 5 * time.Second
		sh.Env = append(os.Environ(), "XDG_STATE_HOME="+guesttest.StateDir(t), "XDG_CACHE_HOME="+t.TempDir())
		out, err := sh.CombinedOutput()
		late := errors.Is(ctx.Err(), context.DeadlineExceeded)
		cancel()
		if cmd.What == "console" && !late || cmd.What != "console" && err != nil || !strings.Contains(string(out), text) {
			t.Errorf("%s: %s: %v\n%s", cmd.What, cmd.Line, err, out)
		}
	}
	if len(want) > 0 {
		t.Errorf("no command for %v: %+v", want, g.Commands)
	}
}

// staysPaused reports whether a guest that was told to stop runs no more, not even for a
// moment.
func staysPaused(t *testing.T, vm *guesttest.VM) bool {
	events := len(vm.Events())
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if vm.Running(t) {
			return false
		}
	}
	for _, e := range vm.Events()[events:] {
		if e.Name == "RESUME" {
			return false
		}
	}
	return true
}
