package guard

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clock is a page the client and the guard share: since when the guest is
// stopped, so that the guard can end a stop the client forgot, at no cost per
// stop but a store.
type clock struct {
	fd    int
	page  []byte
	since *atomic.Int64 // nanoseconds of CLOCK_MONOTONIC, 0 if it runs
}

const clockSize = 4096

func newClock() (*clock, error) {
	fd, err := unix.MemfdCreate("ukdbg-clock", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(fd, clockSize); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ftruncate: %w", err)
	}
	return openClock(fd)
}

// openClock maps the page behind fd.
func openClock(fd int) (*clock, error) {
	page, err := unix.Mmap(fd, 0, clockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return &clock{fd: fd, page: page, since: (*atomic.Int64)(unsafe.Pointer(&page[0]))}, nil
}

func (c *clock) set(stopped bool) {
	if !stopped {
		c.since.Store(0)
		return
	}
	c.since.CompareAndSwap(0, monotonic())
}

// stopped is for how long the guest has been stopped, in nanoseconds.
func (c *clock) stopped() int64 {
	since := c.since.Load()
	if since == 0 {
		return 0
	}
	return monotonic() - since
}

func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
