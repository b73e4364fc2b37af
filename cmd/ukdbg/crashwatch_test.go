package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// lockedBuffer is written by a verb and read by its test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// watcher is a process that watches a guest.
type watcher struct {
	cmd       *exec.Cmd
	out, errs lockedBuffer
	state     string // XDG_STATE_HOME
	done      chan error
}

// watching starts crash --watch and returns when it watches.
func watching(t *testing.T, g *guest, words ...string) *watcher {
	t.Helper()
	args := append([]string{"crash", "--watch", "qmp:" + g.QMPPath, "-e", g.Debug, "--every", "200ms"}, words...)
	w := &watcher{cmd: exec.Command(binary, args...), state: guesttest.StateDir(t), done: make(chan error, 1)}
	w.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+w.state)
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.errs
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill() }) // it has mostly ended
	go func() { w.done <- w.cmd.Wait() }()
	for end := time.Now().Add(patience); !strings.Contains(w.errs.String(), "watching"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not watch: %s", w.errs.String())
		}
	}
	return w
}

// wait waits for its end.
func (w *watcher) wait(t *testing.T) (status int, out, errs string) {
	t.Helper()
	select {
	case <-w.done:
		return w.cmd.ProcessState.ExitCode(), w.out.String(), w.errs.String()
	case <-time.After(patience):
		t.Fatalf("it does not end: %s", w.errs.String())
		return 0, "", ""
	}
}

// A guest that dies under watch is explained and its evidence kept; one that its
// VMM ends is held until then, and ends afterwards.
func TestCrashWatch(t *testing.T) {
	t.Run("fault", func(t *testing.T) {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, Append: "rate=100 fault=null after=300"})
		dir := filepath.Join(t.TempDir(), "evidence")
		status, out, errs := watching(t, g, "-o", dir).wait(t)
		if status != exitOK || !strings.Contains(out, "through a null pointer") || !strings.Contains(errs, "it is kept when it shuts down") {
			t.Fatalf("status %d\n%s%s", status, out, errs)
		}
		if got := mustVerb(t, "crash", filepath.Join(dir, "dump.zst"), "-e", g.Debug); got != out {
			t.Errorf("the dump %s", firstDifference(got, out))
		}
		var faults faultsJSON
		b, err := os.ReadFile(filepath.Join(dir, "faults.json"))
		if err := errors.Join(err, json.Unmarshal(b, &faults)); err != nil || len(faults.Faults) != 1 {
			t.Errorf("%v, %s", err, b)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "console.log")); err != nil || !bytes.Contains(b, []byte("Unikraft")) {
			t.Errorf("%v, %.200s", err, b)
		}
		if !g.Running(t) {
			t.Error("the guest stands")
		}
	})
	for _, keep := range []bool{false, true} {
		t.Run(map[bool]string{false: "shutdown", true: "shutdown kept"}[keep], func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, Append: "rate=50"})
			g.WaitConsole(t, "requests served", patience)
			dir := filepath.Join(t.TempDir(), "evidence")
			words := []string{"-o", dir}
			if keep {
				words = append(words, "--keep")
			}
			w := watching(t, g, words...)
			g.QMP(t, "system_reset", nil) // with -no-reboot a reset is the end
			status, out, errs := w.wait(t)
			if status != exitOK || !strings.Contains(errs, "of one instant") {
				t.Errorf("status %d\n%s%s", status, out, errs)
			}
			if threads := mustVerb(t, "threads", filepath.Join(dir, "dump.zst"), "-e", g.Debug, "--force"); threads == "" {
				t.Error("the dump shows nothing")
			}
			if keep {
				if g.Running(t) || !strings.Contains(g.HMP(t, "info status"), "shutdown") {
					t.Error("the VM is not kept")
				}
				return
			}
			g.WaitExit(t, patience)
		})
	}
	// What was set is put back when the watcher is killed: the VM ends again where
	// its VMM ends it.
	t.Run("killed", func(t *testing.T) {
		g := boot(t, guesttest.Options{Image: "ukguest-x86_64", QMP: true, Append: "rate=50"})
		g.WaitConsole(t, "requests served", patience)
		w := watching(t, g)
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-w.done
		// The guard's last word is its end.
		k := &killer{g: g, state: w.state, found: "running"}
		for end := time.Now().Add(patience); strings.Contains(g.HMP(t, "info chardev"), "gdbserver") || !g.Running(t) || len(k.guards()) > 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the guard does not give the guest back\n%s", k.logs())
			}
		}
		g.QMP(t, "system_reset", nil)
		g.WaitExit(t, patience)
	})
}
