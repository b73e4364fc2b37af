package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// serveStub is the VMM of TestMortalVMM: it listens on the socket and tells each
// connection by a byte in a file.
func serveStub(socket, log string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		os.Exit(1)
	}
	var n atomic.Int32
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		n.Add(1)
		if os.WriteFile(log, []byte(strings.Repeat("c", int(n.Load()))), 0o600) != nil {
			os.Exit(1)
		}
		conn.Close()
	}
}

// A guest that ends with its debugger is refused before it is connected to, in one
// line that says what would do it all the same, and nothing asks a question. With
// the flag it is connected to.
func TestMortalVMM(t *testing.T) {
	dir, err := os.MkdirTemp("", "fc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	// A process is known by the name of its program.
	vmm := filepath.Join(dir, "firecracker")
	if err := os.WriteFile(vmm, self, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, log := filepath.Join(dir, "gdb"), filepath.Join(dir, "log")
	cmd := exec.Command(vmm)
	cmd.Env = append(os.Environ(), "UKDBG_TEST_STUB="+socket, "UKDBG_TEST_LOG="+log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // killed
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not listen")
		}
	}
	run := func(args ...string) (string, int) {
		c := exec.Command(binary, args...)
		c.Env = append(os.Environ(), "XDG_STATE_HOME="+guesttest.StateDir(t))
		c.Stdin = strings.NewReader("y\ny\n") // nobody is asked
		text, _ := c.CombinedOutput()
		return string(text), c.ProcessState.ExitCode()
	}
	for _, verb := range [][]string{{"attach", "unix:" + socket}, {"attach", "unix:" + socket, "--read-only"}, {"threads", "unix:" + socket}, {"profile", "unix:" + socket}} {
		text, status := run(verb...)
		if status != exitUnreachable || !strings.Contains(text, "--allow-guest-shutdown") || !strings.Contains(text, "firecracker") || strings.Count(text, "\n") != 1 {
			t.Errorf("%v: status %d\n%s", verb, status, text)
		}
		if _, err := os.Stat(log); err == nil {
			t.Fatalf("%v: it was connected to", verb)
		}
	}
	text, status := run("threads", "unix:"+socket, "--allow-guest-shutdown")
	if _, err := os.Stat(log); err != nil {
		t.Errorf("with the flag it is not connected to: status %d\n%s", status, text)
	}
}
