package gdbstub

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

// openPTY returns the master of a new pty and the path of its slave.
func openPTY(t *testing.T) (*os.File, string) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	rc, err := m.SyscallConn()
	must(t, err)
	var n int
	must(t, rc.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	must(t, err)
	return m, fmt.Sprintf("/dev/pts/%d", n)
}

func TestSerialLine(t *testing.T) {
	m, path := openPTY(t)
	// Something holds the slave open, so that its settings outlive us.
	hold, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	defer hold.Close()
	before, err := unix.IoctlGetTermios(int(hold.Fd()), unix.TCGETS2)
	must(t, err)
	// A line that echoes would send the stub's first words back to it.
	before.Lflag &^= unix.ECHO
	must(t, unix.IoctlSetTermios(int(hold.Fd()), unix.TCSETS2, before))
	s := stubtest.Unikraft()
	go s.Serve(m)
	spec := target.Spec{Scheme: target.Serial, Addr: path, Baud: 115200}
	c, err := Dial(bg, spec, Options{})
	must(t, err)
	checkMemory(t, c, stubtest.Base, 0x2000)
	must(t, c.WriteMemory(bg, []byte{3, 4, 0x11, 0x13, 0x0d, 0x0a}, stubtest.Base))
	during, err := unix.IoctlGetTermios(int(hold.Fd()), unix.TCGETS2)
	must(t, err)
	if during.Lflag&(unix.ICANON|unix.ECHO) != 0 || during.Ispeed != 115200 {
		t.Fatalf("not raw at 115200: %+v", during)
	}
	if _, err := Dial(bg, spec, Options{}); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second client on the line: %v", err)
	}
	if f := leave(t, c); !f.Running {
		t.Fatalf("%+v", f)
	}
	after, err := unix.IoctlGetTermios(int(hold.Fd()), unix.TCGETS2)
	must(t, err)
	if *after != *before {
		t.Fatalf("settings are not as they were: %+v, %+v", after, before)
	}
}

// A stub on a pipe: the child is this test binary, which connects its stdin and
// stdout to the scripted stub.
func TestExec(t *testing.T) {
	s := stubtest.QEMU()
	s.Listen(t)
	self, err := os.Executable()
	must(t, err)
	spec := target.Spec{Scheme: target.Exec, Addr: fmt.Sprintf("GDBSTUB_TEST_PIPE='%s' '%s'", s.Spec.Addr, self)}
	c, err := Dial(bg, spec, Options{})
	must(t, err)
	checkMemory(t, c, stubtest.Base, 0x4000)
	if running, known := c.FoundRunning(); !running || !known {
		t.Fatal(running, known)
	}
	leave(t, c)
	running(t, s)
}

func TestExecEnds(t *testing.T) {
	s := stubtest.QEMU()
	s.Listen(t)
	self, err := os.Executable()
	must(t, err)
	c, err := Dial(bg, target.Spec{Scheme: target.Exec, Addr: fmt.Sprintf("GDBSTUB_TEST_PIPE='%s' '%s'; echo the pipe broke >&2", s.Spec.Addr, self)}, Options{})
	must(t, err)
	defer c.Close()
	s.Hangup()
	if e := wait(t, c); e.Kind != target.EventLost || !strings.Contains(e.Err.Error(), "the pipe broke") {
		t.Fatalf("%+v", e)
	}
}

func TestMain(m *testing.M) {
	if path := os.Getenv("GDBSTUB_TEST_PIPE"); path != "" {
		os.Exit(pipe(path))
	}
	os.Exit(m.Run())
}

// pipe copies between stdin, stdout and a socket until either ends.
func pipe(path string) int {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	done := make(chan error, 2)
	go func() { _, err := io.Copy(conn, os.Stdin); done <- err }()
	go func() { _, err := io.Copy(os.Stdout, conn); done <- err }()
	if err := <-done; err != nil {
		return 1
	}
	return 0
}
