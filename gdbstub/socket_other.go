//go:build !linux

package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/ukdbg/ukdbg/target"
)

// prepareSocket prepares nothing: no other process can hold the link here.
func prepareSocket(_ context.Context, spec target.Spec) (*Way, error) {
	return &Way{spec: spec, reach: func(ctx context.Context) (link, error) { return openSocket(ctx, spec) }}, nil
}

func openSocket(ctx context.Context, spec target.Spec) (link, error) {
	// QEMU stops a guest for every connection it accepts, also for one that
	// waited in the queue and is dead by then. So do not queue up behind
	// somebody if that can be known beforehand.
	if n := waitFree(ctx, spec); n > 0 {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", spec, context.Cause(ctx))
		}
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

func inheritSocket(*os.File) (link, error) {
	return nil, errors.New("a link cannot be inherited on this system")
}

// monotonic is 0: nothing is compared with it here.
func monotonic() int64 { return 0 }
