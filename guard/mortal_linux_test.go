package guard

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A process is known by the name of its program.
func TestMortalsAreFoundAmongAllProcesses(t *testing.T) {
	launch(t, exec.Command(program(t, "uhyve"), "60"))
	await(t, "it is seen", func() bool { return mayBeMortal("tcp:127.0.0.1:1", "") })
}

// program is one of that name that sleeps.
func program(t *testing.T, name string) string {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what, ": not within 20 s")
		}
	}
}

// A QEMU that listens settles it, whatever else the host runs.
func TestMortalsAreNotLookedForBehindAQEMU(t *testing.T) {
	mortal, qemu := program(t, "uhyve"), program(t, "qemu-test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr, hint := "tcp:"+l.Addr().String(), filepath.Join(t.TempDir(), "listener")
	launch(t, exec.Command(mortal, "60"))
	await(t, "the mortal one is seen", func() bool { return mayBeMortal(addr, hint) })
	// It is the older one of two, so that both are looked at.
	cmd := exec.Command(qemu, "60")
	cmd.ExtraFiles = []*os.File{f}
	launch(t, cmd)
	await(t, "the listening QEMU is seen", func() bool { return !mayBeMortal(addr, hint) })
	if !mayBeMortal("tcp:127.0.0.1:1", "") {
		t.Error("a QEMU that listens elsewhere counts")
	}
	where, err := os.Readlink(hint)
	if pid, _, _ := strings.Cut(where, "/fd/"); err != nil || pid != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("process %d is remembered as %q, %v", cmd.Process.Pid, where, err)
	}
	if mayBeMortal(addr, hint) {
		t.Error("what is remembered is not believed")
	}
	// What is remembered is no proof: it is looked at.
	for _, wrong := range []string{strconv.Itoa(cmd.Process.Pid) + "/fd/0", strconv.Itoa(os.Getpid()) + "/fd/1", "../../etc/passwd", "/fd/"} {
		remember(hint, wrong)
		if !mayBeMortal("tcp:127.0.0.1:1", hint) || mayBeMortal(addr, hint) {
			t.Errorf("%q was believed", wrong)
		}
	}
}
