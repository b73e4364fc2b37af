package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// link is a stream of bytes to a stub. Close makes a blocked Read return.
type link interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
}

// open reaches the stub spec names.
func open(ctx context.Context, spec target.Spec) (link, error) {
	switch spec.Scheme {
	case target.TCP, target.Unix:
		return openSocket(ctx, spec)
	case target.Serial:
		return openSerial(spec)
	case target.Exec:
		return openExec(spec)
	}
	return nil, fmt.Errorf("target %s is no GDB stub; stubs are reached by tcp, unix, serial or exec", spec)
}

func openSocket(ctx context.Context, spec target.Spec) (link, error) {
	// QEMU stops a guest for every connection it accepts, also for one that
	// waited in the queue and is dead by then. So do not queue up behind
	// somebody if that can be known beforehand.
	if n := waitFree(ctx, spec); n > 0 {
		return nil, fmt.Errorf("%s: %w: the stub has a connection already and serves one at a time; end the other session or wait for it", spec, ErrBusy)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, string(spec.Scheme), spec.Addr)
	if err == nil {
		return conn.(link), nil // net.Conn has SetWriteDeadline
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return nil, fmt.Errorf("%s: no such host: %w", spec, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%s: nothing listens there: %w; start the guest with a stub (QEMU: -gdb %s)", spec, err, listenHint(spec))
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such socket: %w", spec, err)
	}
	return nil, fmt.Errorf("%s: cannot connect: %w", spec, err)
}

func listenHint(spec target.Spec) string {
	if spec.Scheme == target.Unix {
		return "unix:" + spec.Addr + ",server=on,wait=off"
	}
	return "tcp:" + spec.Addr
}
