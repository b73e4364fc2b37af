package guard

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestWaiterIsItsSource(t *testing.T) {
	dir := t.TempDir()
	object, file := filepath.Join(dir, "o"), filepath.Join(dir, "bin")
	for _, cmd := range []*exec.Cmd{
		exec.Command("gcc", "-c", "waiter/amd64.S", "-o", object),
		exec.Command("ld", "-N", "--oformat", "binary", "-Ttext", "0x400000", "-o", file, object),
	} {
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, text)
		}
	}
	built, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, waiterProgram) {
		t.Errorf("waiter/amd64.bin (%d bytes) is not what waiter/amd64.S gives (%d bytes)", len(waiterProgram), len(built))
	}
}

// The waiter ends with a farewell, and becomes the guard when the client is
// gone, when it says what only a guard understands, or after a while.
func TestWaiter(t *testing.T) {
	const became, becameWithoutLink = 7, 127 // exit 7, or 0, which is no command
	for _, c := range []struct {
		name   string
		do     func(t *testing.T, fd, pid int)
		status int
	}{
		{"farewell", func(t *testing.T, fd, _ int) { say(t, fd, sayFarewell) }, 0},
		{"release and farewell", func(t *testing.T, fd, _ int) { say(t, fd, sayRelease, sayFarewell) }, 0},
		{"client gone", func(*testing.T, int, int) {}, became},
		{"release, client gone", func(t *testing.T, fd, _ int) { say(t, fd, sayRelease) }, becameWithoutLink},
		{"search", func(t *testing.T, fd, _ int) { say(t, fd, sayFind, sayFarewell) }, became},
		{"time", func(*testing.T, int, int) { time.Sleep(200 * time.Millisecond) }, became},
		{"signals", func(t *testing.T, fd, pid int) {
			time.Sleep(5 * time.Millisecond) // it is to ignore them first
			for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGTSTP} {
				if err := syscall.Kill(pid, s); err != nil {
					t.Error(err) // not waited for, so it is there at least as a zombie
				}
			}
			say(t, fd, sayFarewell)
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			// On a loaded machine its patience may be over before we have said anything.
			var ws syscall.WaitStatus
			for range 20 {
				if ws = waited(t, c.do); ws.Exited() && ws.ExitStatus() == c.status {
					return
				}
			}
			t.Errorf("ended with %v (signal %v), want exit status %d", ws.ExitStatus(), ws.Signal(), c.status)
		})
	}
}

// waited runs a waiter that would become a shell, and returns how it ended.
func waited(t *testing.T, do func(t *testing.T, fd, pid int)) (ws syscall.WaitStatus) {
	t.Helper()
	path := waiterPath()
	if path == "" {
		t.Fatal("this host runs no program from memory")
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	sh, err := syscall.Open("/bin/sh", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(sh)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	pid, err := syscall.ForkExec(path, []string{"sh", "-c", "exit 7"}, &syscall.ProcAttr{
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1]), null.Fd(), null.Fd(), uintptr(sh), null.Fd()}, Env: os.Environ(),
	})
	syscall.Close(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	do(t, pair[0], pid)
	syscall.Close(pair[0])
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatal(err)
	}
	return ws
}

func say(t *testing.T, fd int, messages ...byte) {
	t.Helper()
	for _, m := range messages {
		_, _ = syscall.Write(fd, []byte{m}) // it may have ended
	}
}
