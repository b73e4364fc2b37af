package qmp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Proto is the protocol a monitor speaks.
type Proto string

const (
	// Auto finds out from the greeting.
	Auto Proto = ""
	// QMP is the JSON protocol.
	QMP Proto = "qmp"
	// HMP is the human monitor, all that kraft's qemu_mon.sock speaks.
	HMP Proto = "hmp"
)

// greetingPatience is how long a monitor may take to greet: one that another
// client holds does not greet at all, and most clients are gone in less.
const greetingPatience = time.Second

// commandPatience bounds one command where Monitor.Timeout does not.
const commandPatience = 5 * time.Second

// Monitor is where a VMM's monitor listens. The zero Proto is found out.
type Monitor struct {
	// Path is a unix socket.
	Path  string
	Proto Proto
	// Timeout bounds the answer to one command, 0 for 5 s.
	Timeout time.Duration
	// Meter, if set, adds up what the monitor is used for.
	Meter *Meter
}

// ErrNoMonitor says that what listens at a path is no monitor.
var ErrNoMonitor = errors.New("this is no QEMU monitor")

// ErrHung says that a monitor did not answer in time.
var ErrHung = errors.New("the monitor does not answer")

// ErrGone says that the monitor went away: its process ended, most likely.
var ErrGone = errors.New("the monitor is gone")

// ErrHumanOnly says that a command needs QMP and the monitor speaks HMP only.
var ErrHumanOnly = errors.New("the monitor speaks HMP only")

// InUseError says that another client holds the monitor.
type InUseError struct {
	Path string
	// PID and Comm are the holder's, 0 and "" if it cannot be seen from here.
	PID  int
	Comm string
}

func (e *InUseError) Error() string {
	switch {
	case e.PID == 0:
		return fmt.Sprintf("monitor %s in use by a client that cannot be seen from here", e.Path)
	case e.Comm == "":
		return fmt.Sprintf("monitor %s in use by %d", e.Path, e.PID)
	}
	return fmt.Sprintf("monitor %s in use by %d (%s)", e.Path, e.PID, e.Comm)
}

// Do connects, calls f and closes, whatever f does. The connection must not be
// used after f returned. A monitor that another client holds is an *InUseError
// after a second, one that nobody holds and that does not greet is ErrHung.
func (m Monitor) Do(ctx context.Context, f func(*Conn) error) error {
	c, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return f(c)
}

// Open connects for commands that follow one another within milliseconds, of which
// each would else pay for a greeting. Between them the caller calls Yield, so that
// nobody waits for long, and at their end Close.
func (m Monitor) Open(ctx context.Context) (*Conn, error) { return m.dial(ctx) }

func (m Monitor) dial(ctx context.Context) (*Conn, error) {
	nc, err := connect(ctx, m.Path)
	if err != nil {
		return nil, err
	}
	c := &Conn{monitor: m, path: m.Path, link: nc, in: bufio.NewReaderSize(nc, 16<<10), timeout: m.Timeout}
	if c.timeout <= 0 {
		c.timeout = commandPatience
	}
	if u, ok := nc.(*net.UnixConn); ok {
		c.server, c.inode = serverOf(u)
	}
	if err := m.greet(ctx, c); err != nil {
		nc.Close()
		return nil, err
	}
	c.count = 0 // commands of the caller's
	return c, nil
}

// connect connects to a monitor's socket. Its queue of clients is short: QEMU has
// one place, which a client that gave up keeps until the holder leaves. A full
// queue is tried again as long as a greeting would be waited for.
func connect(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	for deadline := time.Now().Add(greetingPatience); ; {
		nc, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return nc, nil
		case !errors.Is(err, syscall.EAGAIN):
			return nil, dialError(path, err)
		case time.Now().After(deadline):
			if busy := holder(path, 0); busy != nil {
				return nil, busy
			}
			return nil, fmt.Errorf("monitor %s: %w: its queue of clients is full", path, ErrHung)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// dialError says what to do about a socket that takes no connection.
func dialError(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("monitor %s: there is no such socket: %w", path, os.ErrNotExist)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("monitor %s: nobody listens there: its VMM has ended: %w", path, syscall.ECONNREFUSED)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("monitor %s: no permission: run as the VMM's user", path)
	}
	return fmt.Errorf("monitor %s: %w", path, err)
}

// greet reads what the monitor says first and makes it ready for commands.
func (m Monitor) greet(ctx context.Context, c *Conn) error {
	end := c.bound(ctx, greetingPatience)
	err := c.readGreeting()
	c.since = time.Now() // those before us are gone only now
	end()
	switch {
	case errors.Is(err, ErrHung):
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if busy := holder(m.Path, c.inode); busy != nil {
			return busy
		}
		return fmt.Errorf("monitor %s: %w: no greeting within %v, and no other client is seen", m.Path, ErrHung, greetingPatience)
	case err != nil:
		return fmt.Errorf("monitor %s: %w", m.Path, err)
	case m.Proto != Auto && m.Proto != c.proto:
		return fmt.Errorf("monitor %s: it speaks %s, not %s", m.Path, strings.ToUpper(string(c.proto)), strings.ToUpper(string(m.Proto)))
	case c.proto == QMP:
		return c.Execute(ctx, "qmp_capabilities", nil, nil)
	}
	return nil
}
