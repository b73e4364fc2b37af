package gdbstub

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// stubGrace is how long a stub command may take to end after its stdin was
// closed.
const stubGrace = time.Second

// command is a stub on a child's stdin and stdout.
type command struct {
	cmd      *exec.Cmd
	in       *os.File // we write
	out, err *os.File // we read
	theirs   []*os.File
	stderr   *tail
	waited   chan struct{} // closed once the child ended
	once     sync.Once
}

// prepareExec makes the pipes; the command is started by reach.
func prepareExec(spec target.Spec) (*Way, error) {
	c := &command{stderr: new(tail), waited: make(chan struct{})}
	var err error
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	inR, inW := pipe()
	outR, outW := pipe()
	errR, errW := pipe()
	c.in, c.out, c.err, c.theirs = inW, outR, errR, []*os.File{inR, outW, errW}
	if err != nil {
		c.closeFiles()
		return nil, fmt.Errorf("%s: cannot start: %w", spec, err)
	}
	return &Way{
		spec: spec, files: []*os.File{c.in, c.out, c.err}, close: c.closeFiles,
		reach: func(context.Context) (link, error) {
			if err := c.start(spec.Addr); err != nil {
				c.closeFiles()
				return nil, fmt.Errorf("%s: cannot start: %w", spec, err)
			}
			return c, nil
		},
	}, nil
}

// closeFiles closes what there is of a command that was not started.
func (c *command) closeFiles() {
	for _, f := range append(c.theirs, c.in, c.out, c.err) {
		if f != nil {
			f.Close()
		}
	}
	c.theirs = nil
}

func (c *command) start(line string) error {
	c.cmd = exec.Command("/bin/sh", "-c", line)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.theirs[0], c.theirs[1], c.theirs[2]
	// A ^C typed at our terminal is for us, not for the stub.
	c.cmd.SysProcAttr = ownGroup()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	for _, f := range c.theirs {
		f.Close()
	}
	c.theirs = nil
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = io.Copy(c.stderr, c.err) // until the last who has it is gone
	}()
	go func() {
		// How the child ended shows in its stderr and as the end of its output.
		_ = c.cmd.Wait()
		select {
		case <-said:
		case <-time.After(stubGrace): // a child of the child's holds it
		}
		close(c.waited)
	}()
	return nil
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
func (c *command) SetReadDeadline(t time.Time) error  { return c.out.SetReadDeadline(t) }
func (c *command) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }

// Close ends the child: by the end of its input, or by force if it ignores it.
func (c *command) Close() error {
	c.once.Do(func() {
		c.in.Close()
		if c.cmd != nil {
			select {
			case <-c.waited:
			case <-time.After(stubGrace):
				// The group, because a shell may have children of its own.
				if err := killGroup(c.cmd.Process); err == nil {
					<-c.waited
				}
			}
		}
		c.out.Close()
		c.err.Close()
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

// inheritExec makes a link of the pipes to a command that another process
// started. The command is not our child: it ends with its input.
func inheritExec(files []*os.File) link {
	c := &command{in: files[0], out: files[1], err: files[2], stderr: new(tail), waited: make(chan struct{})}
	go func() {
		_, _ = io.Copy(c.stderr, c.err) // until the last who has it is gone
		close(c.waited)
	}()
	return c
}
