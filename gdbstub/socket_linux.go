package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/target"
)

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 4

// prepareSocket makes an unconnected socket for each address of spec.
func prepareSocket(ctx context.Context, spec target.Spec) (*Way, error) {
	addrs, err := socketAddrs(ctx, spec)
	if err != nil {
		return nil, err
	}
	var list []*socket
	w := &Way{spec: spec}
	w.close = func() {
		for _, s := range list {
			s.file.Close()
		}
	}
	for _, a := range addrs {
		s, err := newSocket(a)
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("%s: making a socket: %w", spec, err)
		}
		list, w.files = append(list, s), append(w.files, s.file)
	}
	// While the caller does other things.
	looked, at := make(chan int, 1), time.Now()
	go func() { looked <- peers(spec).served }()
	w.reach = func(ctx context.Context) (link, error) {
		free := <-looked == 0 && time.Since(at) < lookLasts
		return connectFirst(ctx, spec, list, free)
	}
	return w, nil
}

// lookLasts is for how long a stub that was seen to serve nobody is taken to be
// free. A connection that comes all the same in between is not answered, which is
// told as well.
const lookLasts = 20 * time.Millisecond

// connectFirst connects the sockets in turn until one is, and closes the others.
// free says that the stub serves nobody.
func connectFirst(ctx context.Context, spec target.Spec, list []*socket, free bool) (link, error) {
	// QEMU stops a guest for every connection it accepts, also for one that
	// waited in the queue and is dead by then. So do not queue up behind
	// somebody if that can be known beforehand.
	if !free && waitFree(ctx, spec) > 0 {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", spec, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%s: %w: the stub has a connection already and serves one at a time; end the other session or wait for it", spec, ErrBusy)
	}
	var first error
	for i, s := range list {
		err := s.connect(ctx)
		if err == nil {
			for j, other := range list {
				if j != i {
					other.file.Close()
				}
			}
			return s, nil
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case errors.Is(first, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%s: nothing listens there: %w; start the guest with a stub (QEMU: -gdb %s)", spec, first, listenHint(spec))
	case errors.Is(first, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such socket: %w", spec, first)
	case errors.Is(first, syscall.EAGAIN):
		return nil, fmt.Errorf("%s: %w: its queue of waiting connections is full", spec, ErrBusy)
	}
	return nil, fmt.Errorf("%s: cannot connect: %w", spec, first)
}

// socketAddrs resolves spec.
func socketAddrs(ctx context.Context, spec target.Spec) ([]syscall.Sockaddr, error) {
	if spec.Scheme == target.Unix {
		return []syscall.Sockaddr{&syscall.SockaddrUnix{Name: spec.Addr}}, nil
	}
	host, service, err := net.SplitHostPort(spec.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no port", spec, service)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("%s: no such host: %w", spec, err)
	}
	var out []syscall.Sockaddr
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		out = append(out, tcpAddr(ip.Unmap(), int(port)))
	}
	return out, nil
}

func tcpAddr(ip netip.Addr, port int) syscall.Sockaddr {
	if ip.Is4() {
		return &syscall.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	a := &syscall.SockaddrInet6{Port: port, Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			a.ZoneId = uint32(n)
		} else if i, err := net.InterfaceByName(zone); err == nil {
			a.ZoneId = uint32(i.Index)
		}
	}
	return a
}

// socket is a link over a stream socket. It does not block, and Go's network
// poller does not know it: whoever wants to read waits for it by a system call of
// its own, see direct.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	addr syscall.Sockaddr
	once sync.Once
	// asked is when it was connected: a stub may stop its guest from then on.
	asked time.Time

	// Waiting for input: the owner of an exchange, and the reading goroutine.
	// Writing: one at a time.
	ask, idle, out waiter

	// Of the taking under way, for the callback that is made once.
	p    []byte
	n    int
	err  error
	heed func() bool
	note func([]byte)
	take func(fd uintptr)

	// Of the writing under way.
	rest     []byte
	until    time.Time
	writeErr error
	send     func(fd uintptr)
}

func newSocket(addr syscall.Sockaddr) (*socket, error) {
	family := syscall.AF_UNIX
	switch addr.(type) {
	case *syscall.SockaddrInet4:
		family = syscall.AF_INET
	case *syscall.SockaddrInet6:
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if family != syscall.AF_UNIX {
		// A packet is a question that waits for its answer.
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			syscall.Close(fd)
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	// Not before: a file that does not block is given to the poller.
	f := os.NewFile(uintptr(fd), "stub")
	if err := syscall.SetNonblock(fd, true); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	s, err := socketOf(f)
	if err != nil {
		return nil, err
	}
	s.addr = addr
	return s, nil
}

// socketOf makes a link of a socket that does not block.
func socketOf(f *os.File) (*socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &socket{file: f, raw: raw}
	s.take, s.send = s.doTake, s.doSend
	s.ask.events, s.idle.events, s.out.events = unix.POLLIN, unix.POLLIN, unix.POLLOUT
	for _, w := range []*waiter{&s.ask, &s.idle, &s.out} {
		w.poll = w.doPoll
	}
	return s, nil
}

// connectGrace is how long a connection that was asked for may take to stand
// once it is not wanted any more.
const connectGrace = 200 * time.Millisecond

// connect connects the socket. QEMU stops its guest for every connection, also
// for one that was given up: so one that was asked for is waited for a little
// when ctx ends, and one that stands is no error, for the attachment to give the
// guest back.
func (s *socket) connect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var result error
	s.asked = time.Now()
	if err := s.raw.Control(func(fd uintptr) { result = syscall.Connect(int(fd), s.addr) }); err != nil {
		return err
	}
	if result != syscall.EINPROGRESS {
		return os.NewSyscallError("connect", result)
	}
	var until time.Time // zero while the connection is wanted
	for {
		ready, err := s.out.wait(s.raw, glance)
		if err != nil {
			return err
		}
		if ready {
			if err := s.connected(); err != syscall.ENOTCONN {
				return os.NewSyscallError("connect", err)
			}
		}
		switch {
		case until.IsZero() && ctx.Err() != nil:
			until = time.Now().Add(connectGrace)
		case !until.IsZero() && time.Now().After(until):
			return ctx.Err()
		}
	}
}

// since is when the socket was connected.
func (s *socket) since() time.Time { return s.asked }

// connected is nil if the connection stands, ENOTCONN if it does not yet, else
// why it never will.
func (s *socket) connected() (result error) {
	err := s.raw.Control(func(fd uintptr) {
		code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		if result = err; err == nil && code != 0 {
			result = syscall.Errno(code)
		}
		if result == nil {
			_, result = syscall.Getpeername(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return result
}

// CloseWrite ends our half.
func (s *socket) CloseWrite() error { return s.shutdown(syscall.SHUT_WR) }

func (s *socket) shutdown(how int) error {
	var result error
	err := s.raw.Control(func(fd uintptr) { result = syscall.Shutdown(int(fd), how) })
	if err != nil {
		return err
	}
	return result
}

// Close ends the connection, whoever else holds the descriptor.
func (s *socket) Close() error {
	var err error
	s.once.Do(func() {
		_ = s.shutdown(syscall.SHUT_RDWR) // one that is gone already is fine
		err = s.file.Close()
	})
	return err
}

// inheritSocket makes a link of a socket that another process connected.
func inheritSocket(f *os.File) (link, error) {
	s, err := socketOf(f)
	if err != nil {
		return nil, err
	}
	if err := s.stands(); err != nil {
		return nil, err
	}
	return s, nil
}

// stands is nil if the socket is connected.
func (s *socket) stands() error {
	var result error
	if err := s.raw.Control(func(fd uintptr) { _, result = syscall.Getpeername(int(fd)) }); err != nil {
		return err
	}
	return os.NewSyscallError("getpeername", result)
}

// monotonic is the time of CLOCK_MONOTONIC in nanoseconds, 0 if it is not told.
func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
