package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Conn is an open monitor, used by one goroutine inside Monitor.Do.
type Conn struct {
	monitor Monitor
	path    string
	link    net.Conn
	since   time.Time // when it greeted us
	count   int       // commands run since
	in      *bufio.Reader
	proto   Proto
	version string
	timeout time.Duration
	server  int
	inode   uint64 // of our end
	events  []Event
	dropped int
	broken  error // the link cannot be used any more
}

// Proto is the protocol the monitor speaks, QMP or HMP.
func (c *Conn) Proto() Proto { return c.proto }

// Version is QEMU's, "7.2.22", as the greeting told it.
func (c *Conn) Version() string { return c.version }

// PID is the process that listens, as the kernel knows it: 0 if it is in
// another process namespace. A socket that a manager opened and handed down
// has the manager's.
func (c *Conn) PID() int { return c.server }

// Event is something QEMU told unasked.
type Event struct {
	// Name is STOP, RESUME, SHUTDOWN and so on.
	Name string `json:"event"`
	// Data is the event's own, limited like every line.
	Data json.RawMessage `json:"data"`
	// Timestamp is by the host's clock.
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
}

// Time is when it happened, by the host's clock.
func (e Event) Time() time.Time {
	return time.Unix(e.Timestamp.Seconds, e.Timestamp.Microseconds*1000)
}

// maxEvents bounds the events kept of one connection.
const maxEvents = 1024

// Events returns those that came while commands were answered, oldest first,
// and how many more there were. An HMP monitor tells none.
func (c *Conn) Events() (events []Event, more int) { return c.events, c.dropped }

// Close gives the monitor back.
func (c *Conn) Close() { c.close() }

func (c *Conn) close() {
	if c.link == nil {
		return
	}
	c.broken = errors.New("the monitor was given back")
	c.link.Close() // nothing is on its way that could be lost
	c.link = nil
	c.monitor.Meter.add(c.count, time.Since(c.since))
}

// Yield is called between commands of a long row: where it has held the monitor for
// some time it gives it back, so that whoever waits is served, and takes it again.
// Who else uses the monitor may have changed what was asked before.
func (c *Conn) Yield(ctx context.Context) error {
	if c.broken != nil || c.count < batchCommands && time.Since(c.since) < batchTime {
		return nil
	}
	c.close()
	again, err := c.monitor.dial(ctx)
	if err != nil {
		c.broken = err
		return err
	}
	if again.server != c.server {
		again.close()
		c.broken = ErrGone
		return fmt.Errorf("monitor %s: %w: another process listens there now", c.path, ErrGone)
	}
	again.events, again.dropped = append(c.events, again.events...), c.dropped+again.dropped
	*c = *again
	return nil
}

// bound lets what follows take at most limit, or until ctx ends. After end nothing of
// it comes any more: the link is another's then, or gone.
func (c *Conn) bound(ctx context.Context, limit time.Duration) (end func()) {
	link, done := c.link, make(chan struct{})
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	link.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() {
		link.SetDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// linkError names what a failed read or write of the link means.
func linkError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrHung
	case errors.Is(err, ErrNoMonitor), errors.Is(err, errTooLong):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrGone
	}
	return fmt.Errorf("%w: %v", ErrGone, err)
}

// run calls f with the command's time limit and says which command failed.
// After a failed link the connection cannot be used any more: an answer may
// come late and be taken for another's.
func (c *Conn) run(ctx context.Context, what string, f func() error) error {
	if c.broken != nil {
		return fmt.Errorf("monitor %s: %s: %w", c.path, what, c.broken)
	}
	c.count++
	end := c.bound(ctx, c.timeout)
	err := f()
	end()
	if err == nil {
		return nil
	}
	var refused *CommandError
	if errors.As(err, &refused) {
		return err
	}
	c.broken = err
	if ctx.Err() != nil {
		return fmt.Errorf("monitor %s: %s: %w", c.path, what, ctx.Err())
	}
	if errors.Is(err, ErrHung) {
		return fmt.Errorf("monitor %s: %s: %w: nothing in %v", c.path, what, ErrHung, c.timeout)
	}
	return fmt.Errorf("monitor %s: %s: %w", c.path, what, err)
}

// CommandError is what QEMU answered to a command it refuses.
type CommandError struct {
	Command string
	// Class is GenericError, CommandNotFound and so on.
	Class string
	Desc  string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("QEMU refuses %s: %s", e.Command, e.Desc)
}

// HMP runs a line of the human monitor and returns what it printed, lines ended
// by "\n". What HMP prints about an error is text like any other.
func (c *Conn) HMP(ctx context.Context, line string) (text string, err error) {
	for _, b := range []byte(line) {
		if b < ' ' || b == 0x7f {
			return "", fmt.Errorf("monitor command %q: it has a control character", line)
		}
	}
	if c.proto == QMP {
		err = c.Execute(ctx, "human-monitor-command", map[string]string{"command-line": line}, &text)
		return plain(text), err
	}
	err = c.run(ctx, line, func() error {
		text, err = c.human(line)
		return err
	})
	return text, err
}
