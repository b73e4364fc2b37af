package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// process is a running ukdbg, with pipes or a terminal of its own.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	// hangUp closes our end of its stdout, or of its terminal.
	hangUp func() error
	done   chan struct{}

	mu    sync.Mutex
	text  strings.Builder // stdout, and stderr with a terminal
	seen  int             // what wait has found already
	grown chan struct{}
	errs  strings.Builder
}

// spawn starts the command with its stdin, stdout and stderr on pipes.
func spawn(t *testing.T, args ...string) *process {
	t.Helper()
	p := newProcess(t, args)
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	// Not StdoutPipe: closing our end must be possible while the process runs.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr, p.hangUp = w, &p.errs, r.Close
	p.start(t, r, w)
	return p
}

// spawnTerminal starts the command on a new terminal.
func spawnTerminal(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	master, slave := openTerminal(t)
	p := newProcess(t, args)
	p.cmd.Env = append(append(p.cmd.Env, "TERM=xterm"), env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	p.in, p.hangUp = master, master.Close
	p.start(t, master, slave)
	return p
}

func newProcess(t *testing.T, args []string) *process {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{}), grown: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+guesttest.StateDir(t))
	return p
}

func (p *process) start(t *testing.T, out io.Reader, theirs *os.File) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			p.mu.Lock()
			p.text.Write(buf[:n])
			close(p.grown)
			p.grown = make(chan struct{})
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		<-read
		p.cmd.Wait() // its status is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // it has mostly ended
		p.hangUp()
		<-p.done
	})
}

// output is all of stdout so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// send types text.
func (p *process) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.in, text); err != nil {
		t.Fatalf("typing %q: %v\n%s", text, err, p.output())
	}
}

// wait waits until the output goes on to text, and returns what came up to it.
func (p *process) wait(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		all, grown := p.text.String(), p.grown
		if i := strings.Index(all[p.seen:], text); i >= 0 {
			from := p.seen
			p.seen += i + len(text)
			p.mu.Unlock()
			return all[from:p.seen]
		}
		p.mu.Unlock()
		select {
		case <-grown:
		case <-p.done:
			t.Fatalf("ended before %q; stdout:\n%s\nstderr:\n%s", text, all, &p.errs)
		case <-deadline:
			t.Fatalf("no %q within %v; stdout:\n%s", text, patience, all)
		}
	}
}

// interruptPrompt types ^C at the prompt, as a person does: again if nothing
// was said, because a ^C just before the line editor is ready is a signal that
// finds nothing to stop.
func (p *process) interruptPrompt(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	from := p.seen
	p.mu.Unlock()
	for try := 0; ; try++ {
		p.send(t, "\x03")
		for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
			if strings.Contains(p.output()[from:], "^C again leaves") {
				p.wait(t, "^C again leaves")
				return
			}
		}
		if try == 3 {
			t.Fatalf("^C says nothing:\n%s", p.output())
		}
	}
}

// signal sends a signal to the process.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
}

// rests waits until the process has taken the signals sent to it and all its threads
// sleep, or it has ended: proc(5), /proc/PID/status.
func (p *process) rests(t *testing.T) {
	t.Helper()
	atRest := func() bool {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				continue // that thread has ended
			}
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				value = strings.TrimSpace(value)
				pending := (name == "SigPnd" || name == "ShdPnd") && strings.Trim(value, "0") != ""
				if name == "State" && value[0] == 'R' || pending {
					return false
				}
			}
		}
		return true
	}
	for deadline := time.Now().Add(patience); !atRest(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not rest; stdout:\n%s", p.output())
		}
	}
}

// exit waits for the end and returns the exit status, -1 for death by a signal.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("still there after %v; stdout:\n%s", patience, p.output())
		return -1
	}
}

// openTerminal returns both ends of a new pty.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	rc, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var ierr error
	if err := rc.Control(func(fd uintptr) {
		if ierr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ierr == nil {
			n, ierr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if ierr == nil {
			ierr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 200})
		}
	}); err != nil || ierr != nil {
		t.Fatal(err, ierr)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
