package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/target"
)

// serialLine is a terminal device in raw mode.
type serialLine struct {
	*os.File
	before *unix.Termios // as it was found
	once   sync.Once
}

// prepareSerial opens the device and sets it up: from then on the other end may
// notice us.
func prepareSerial(spec target.Spec) (*Way, error) {
	s, err := openSerial(spec)
	if err != nil {
		return nil, err
	}
	return &Way{
		spec: spec, files: []*os.File{s.File},
		reach: func(context.Context) (link, error) { return s, nil },
		close: func() { _ = s.Close() }, // nothing was sent
	}, nil
}

func openSerial(spec target.Spec) (*serialLine, error) {
	f, err := os.OpenFile(spec.Addr, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot open the device: %w", spec, err)
	}
	s := &serialLine{File: f}
	if err := s.control(func(fd int) error { return s.setup(fd, spec.Baud) }); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", spec, err)
	}
	return s, nil
}

// control runs fn on the descriptor without taking it from the poller.
func (s *serialLine) control(fn func(fd int) error) error {
	rc, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := rc.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (s *serialLine) setup(fd, baud int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("%w: the device is locked by another process", ErrBusy)
	case err != nil:
		return fmt.Errorf("cannot lock the device: %w", err)
	}
	before := *t
	s.before = &before
	// cfmakeraw(3), and neither modem lines nor flow control: a debug line has
	// three wires, and 0x11 and 0x13 are bytes like others.
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB | unix.CSTOPB | unix.CRTSCTS
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if baud != 0 {
		t.Cflag &^= unix.CBAUD
		t.Cflag |= unix.BOTHER
		t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return fmt.Errorf("cannot set the line to raw mode at %d baud: %w", baud, err)
	}
	return nil
}

// Close puts the line's settings back and closes it.
func (s *serialLine) Close() error {
	var err error
	s.once.Do(func() {
		// TCSETSW2 waits until the last packet is out at the speed it was
		// written for.
		var restore error
		if s.before != nil {
			restore = s.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETSW2, s.before) })
		}
		// Whoever else holds the descriptor, the line is free.
		_ = s.control(func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
		err = s.File.Close()
		// A pty whose other end is gone has no settings left to restore.
		if err == nil && !errors.Is(restore, unix.EIO) {
			err = restore
		}
	})
	return err
}

// inheritSerial makes a link of a line that another process opened and set up.
func inheritSerial(f *os.File) link { return &serialLine{File: f} }
