package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// writes reports whether a thread of the process waits in a write to its stdout:
// proc(5), /proc/PID/task/TID/syscall.
func writes(t *testing.T, pid int) bool {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("it has ended, or this kernel does not tell system calls: %v", err)
	}
	for _, task := range tasks {
		if text, err := os.ReadFile(task); err == nil && strings.HasPrefix(string(text), fmt.Sprintf("%d 0x1 ", syscall.SYS_WRITE)) {
			return true
		}
	}
	return false
}

// A client whose output nobody reads hears of its guard's death, and cannot act
// on it. The guest is given back all the same.
func TestGuardKilledWhileNobodyReads(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true})
	g.mustServe(t)
	k := &killer{g: g, state: guesttest.StateDir(t), found: "running", rnd: rand.New(rand.NewPCG(1, 1))}
	cmd := exec.Command(binary, "attach", g.GDBAddr(), "-e", g.Debug)
	cmd.Env = append(cmd.Environ(), "XDG_STATE_HOME="+k.state)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// More than a pipe holds.
	cmd.Stdin = strings.NewReader("break serve\ncontinue\n" + strings.Repeat("x/20000xb &server\n", 4))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	// It has said something and stands in the middle of a write.
	first := make([]byte, 1<<10)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatal(err)
	}
	guards := k.guards()
	for deadline := time.Now().Add(patience); len(guards) != 1 || g.Running(t) || !writes(t, cmd.Process.Pid); guards = k.guards() {
		if time.Now().After(deadline) {
			t.Fatalf("guards %v, guest running %v", guards, g.Running(t))
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := syscall.Kill(guards[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := startWatch()
	for !g.Running(t) {
		if killed.over(time.Second + promise) {
			whole, _ := killed.took()
			t.Fatalf("the guest stands %v after its guard was killed", whole)
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.mustBeClean(t)
	k.mustGoOn(t, "the guard killed while nobody reads")
	// Somebody reads on: it ends as after any lost guard.
	rest, err := io.ReadAll(out)
	if err != nil || !strings.Contains(string(rest), "guest resumed") {
		t.Errorf("%v: it said %.200q at last", err, rest[max(0, len(rest)-200):])
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %v", err)
	}
	if !k.asFound(t) {
		t.Errorf("not as found\n%s", k.logs())
	}
}
