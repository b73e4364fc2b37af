package gdbstub

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// stubGrace is how long a stub command may take to end after its stdin was
// closed.
const stubGrace = time.Second

// command is a stub on a child's stdin and stdout.
type command struct {
	cmd    *exec.Cmd
	in     *os.File // we write
	out    *os.File // we read
	stderr *tail
	waited chan struct{} // closed once the child ended
	once   sync.Once
}

func openExec(spec target.Spec) (link, error) {
	fail := func(err error) (link, error) {
		return nil, fmt.Errorf("%s: cannot start: %w", spec, err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		inR.Close()
		inW.Close()
		return fail(err)
	}
	c := &command{in: inW, out: outR, stderr: new(tail), waited: make(chan struct{})}
	c.cmd = exec.Command("/bin/sh", "-c", spec.Addr)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, c.stderr
	// A ^C typed at our terminal is for us, not for the stub.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = stubGrace
	err = c.cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return fail(err)
	}
	go func() {
		// How the child ended shows in its stderr and as the end of its output.
		_ = c.cmd.Wait()
		close(c.waited)
	}()
	return c, nil
}

func (c *command) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if err != nil && n == 0 {
		select {
		case <-c.waited:
			if s := c.stderr.String(); s != "" {
				err = fmt.Errorf("the stub command ended, saying %q: %w", s, err)
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
	return n, err
}

func (c *command) Write(p []byte) (int, error)        { return c.in.Write(p) }
func (c *command) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }

// Close ends the child: by the end of its input, or by force if it ignores it.
func (c *command) Close() error {
	c.once.Do(func() {
		c.in.Close()
		select {
		case <-c.waited:
		case <-time.After(stubGrace):
			// The group, because a shell may have children of its own.
			if err := syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL); err == nil {
				<-c.waited
			}
		}
		c.out.Close()
	})
	return nil
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 1024

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - tailSize; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
