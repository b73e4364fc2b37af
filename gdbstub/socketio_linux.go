package gdbstub

import (
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiter is one that waits for the socket, in poll(2).
type waiter struct {
	events int16
	d      time.Duration
	fds    [1]unix.PollFd
	err    error
	poll   func(fd uintptr)
}

// wait reports whether the socket is ready; it is not after d, nor after a
// signal. d below 0 is for ever. A socket that was shut down is ready.
func (w *waiter) wait(raw syscall.RawConn, d time.Duration) (bool, error) {
	w.d = d
	if err := raw.Control(w.poll); err != nil {
		return false, err
	}
	return w.fds[0].Revents != 0, w.err
}

func (w *waiter) doPoll(fd uintptr) {
	var until *unix.Timespec
	if w.d >= 0 {
		t := unix.NsecToTimespec(w.d.Nanoseconds())
		until = &t
	}
	w.fds[0] = unix.PollFd{Fd: int32(fd), Events: w.events}
	_, err := unix.Ppoll(w.fds[:], until, nil)
	if w.err = nil; err != nil && err != unix.EINTR {
		w.err = os.NewSyscallError("ppoll", err)
	}
}

// listen makes receive look at what came before it takes it: while heed holds,
// note is called with the bytes that are about to be taken.
func (s *socket) listen(heed func() bool, note func([]byte)) { s.heed, s.note = heed, note }

func (s *socket) await(d time.Duration) error {
	w := &s.ask
	if d < 0 {
		w = &s.idle
	}
	_, err := w.wait(s.raw, d)
	return err
}

func (s *socket) receive(p []byte) (int, error) {
	s.p = p
	if err := s.raw.Control(s.take); err != nil {
		return 0, err
	}
	if s.n == 0 && s.err == nil {
		return 0, io.EOF
	}
	if s.err == syscall.EAGAIN {
		return 0, nil
	}
	return s.n, os.NewSyscallError("read", s.err)
}

func (s *socket) doTake(fd uintptr) {
	p := s.p
	if s.heed != nil && s.heed() {
		if s.n, s.err = recv(fd, p[:min(len(p), maxNoted)], syscall.MSG_PEEK); s.n == 0 {
			return
		}
		s.note(p[:s.n])
		p = p[:s.n]
	}
	s.n, s.err = recv(fd, p, 0)
}

// recv takes what is there, EAGAIN if nothing is; (0, nil) is the end.
func recv(fd uintptr, p []byte, flags int) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, flags|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// Read is for those who have nothing else to do.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if err := s.await(-1); err != nil {
			return 0, err
		}
		if n, err := s.receive(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// Write is not for several goroutines at once, nor is SetWriteDeadline.
func (s *socket) Write(p []byte) (int, error) {
	s.rest = p
	if err := s.raw.Control(s.send); err != nil {
		return 0, err
	}
	for s.writeErr == syscall.EAGAIN {
		left := time.Until(s.until)
		if left <= 0 {
			return len(p) - len(s.rest), os.ErrDeadlineExceeded
		}
		if _, err := s.out.wait(s.raw, min(left, glance)); err != nil {
			return len(p) - len(s.rest), err
		}
		if err := s.raw.Control(s.send); err != nil {
			return len(p) - len(s.rest), err
		}
	}
	return len(p) - len(s.rest), os.NewSyscallError("write", s.writeErr)
}

func (s *socket) doSend(fd uintptr) {
	for s.writeErr = nil; s.writeErr == nil && len(s.rest) > 0; {
		n, err := syscall.SendmsgN(int(fd), s.rest, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		if err == syscall.EINTR {
			continue
		}
		s.writeErr = err
		s.rest = s.rest[max(n, 0):]
	}
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	s.until = t
	return nil
}
