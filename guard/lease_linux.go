package guard

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lease is a page the client and the guard share. It tells the guard since when
// the guest stands, so that a stop that its client forgets, or cannot end because
// it is not running, is ended by the guard: at the deadline it writes the order to
// run itself, on the link both hold. A stop costs the client some stores, and where
// there is a cap one futex(2) before the guest is asked to stop.
//
// Who may write to the link is decided by one word. The client takes it for each
// write, the guard for its order, both by compare-and-swap. It counts the stops, so
// that what was seen of one is never acted upon in another: an order to run sent to a
// guest that runs would stop it.
type lease struct {
	fd   int
	max  time.Duration // the cap on one stop, 0 for none
	page []byte
	*leaseWords

	// The client's own: how many of its goroutines write in which stop.
	mu      sync.Mutex
	writers int
	stop    uint32
}

// leaseWords is the page's layout.
type leaseWords struct {
	since    atomic.Int64  // nanoseconds of CLOCK_MONOTONIC, 0 if the guest does not stand for us
	deadline atomic.Int64  // the same clock: when the guard writes
	beat     atomic.Int64  // the same clock: when the client last ran, 0 if it does not tell
	hung     atomic.Int64  // how long it may not, in nanoseconds
	ended    atomic.Int64  // the same clock: when the guard last let the guest run
	state    atomic.Uint32 // below, and the count of stops above leaseMask
	size     atomic.Uint32 // of order
	order    [64]byte      // lets the guest run
}

// States of a lease.
const (
	leaseIdle    = iota // no stop with a cap
	leaseAsked          // one was asked for
	leaseHeld           // the guest stands
	leaseWriting        // and the client is writing to it
	leaseEnding         // the guard is writing the order to run
	leaseEnded          // the guard has let it run; the client does not know yet

	leaseMask = 7
)

// endingPatience bounds the wait for a guard that is writing: it may be killed.
const endingPatience = 50 * time.Millisecond

const leaseSize = 4096

// guardUse is the part of a cap after which the guard ends a stop. The client
// itself does at gdbstub's part of it.
const guardUse = 0.9

// beatEvery is how often a client tells that it runs.
const beatEvery = 500 * time.Millisecond

func newLease(max, hung time.Duration) (*lease, error) {
	fd, err := unix.MemfdCreate("ukdbg-lease", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(fd, leaseSize); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ftruncate: %w", err)
	}
	l, err := openLease(fd)
	if err != nil {
		return nil, err
	}
	l.max = max
	l.hung.Store(int64(hung))
	return l, nil
}

// openLease maps the page behind fd.
func openLease(fd int) (*lease, error) {
	page, err := unix.Mmap(fd, 0, leaseSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mmap: %w", err)
	}
	l := &lease{fd: fd, page: page, leaseWords: (*leaseWords)(unsafe.Pointer(&page[0]))}
	// A client that lives on has many attachments; who may still hold this one when
	// it is left is not known here.
	runtime.AddCleanup(l, func(page []byte) { _ = unix.Munmap(page) }, page)
	return l, nil
}

// handOver closes the descriptor, which the guard has now, or never will; the page
// stays.
func (l *lease) handOver() { unix.Close(l.fd) }

// Ask is gdbstub.Lease's.
func (l *lease) Ask(at time.Time) {
	since := monotonic() - int64(time.Since(at))
	l.since.Store(since)
	if l.max <= 0 {
		return
	}
	l.deadline.Store(since + int64(guardUse*float64(l.max)))
	last := l.state.Load() | leaseMask
	l.state.Store((last + 1) | leaseAsked)
	_ = futex(&l.state, futexWake, 1, nil) // nobody may be waiting yet
}

// Stopped is gdbstub.Lease's.
func (l *lease) Stopped(order []byte) bool {
	if l.max <= 0 {
		return true
	}
	n := 0
	if len(order) <= len(l.order) {
		n = copy(l.order[:], order)
	}
	l.size.Store(uint32(n))
	return l.change(leaseAsked, leaseHeld) || !l.letRun()
}

// Begin is gdbstub.Lease's. Several may write at a time: the last gives the word back,
// so that the guard does not write between two of them.
func (l *lease) Begin() (stop uint32, ok bool) {
	if l.max <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if stop = l.state.Load() &^ leaseMask; stop != l.stop {
		l.stop, l.writers = stop, 0
	}
	if l.writers == 0 && !l.change(leaseHeld, leaseWriting) && l.letRun() {
		return stop, false
	}
	l.writers++
	return stop, true
}

// End is gdbstub.Lease's.
func (l *lease) End(stop uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != stop || l.writers == 0 {
		return // that stop is over
	}
	if l.writers--; l.writers == 0 {
		l.change(leaseWriting, leaseHeld)
	}
}

// letRun reports whether the guard has let the guest run. Whoever acts upon that does
// so behind its order on the link, not before.
func (l *lease) letRun() bool {
	for began := time.Now(); l.is(leaseEnding) && time.Since(began) < endingPatience; {
		time.Sleep(10 * time.Microsecond)
	}
	return l.is(leaseEnded) || l.is(leaseEnding)
}

// Ended is gdbstub.Lease's.
func (l *lease) Ended() time.Duration { return time.Duration(monotonic() - l.ended.Load()) }

// Over is gdbstub.Lease's.
func (l *lease) Over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writers = 0
	l.state.And(^uint32(leaseMask))
	l.since.Store(0)
}

// is reports whether the present stop, if any, is in a state.
func (l *lease) is(state uint32) bool { return l.state.Load()&leaseMask == state }

// change brings the present stop from one state to another, if it is in that.
func (l *lease) change(from, to uint32) bool {
	word := l.state.Load()
	return word&leaseMask == from && l.state.CompareAndSwap(word, word&^leaseMask|to)
}

// beatUntil tells that this process runs until done is closed.
func (l *lease) beatUntil(done <-chan struct{}) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		l.beat.Store(monotonic())
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

// stopped is for how long the guest has been stopped by a client that has not let
// it run.
func (l *lease) stopped() time.Duration {
	since := l.since.Load()
	if since == 0 || l.is(leaseEnding) || l.is(leaseEnded) {
		return 0
	}
	return time.Duration(monotonic() - since)
}

// silent reports whether the client has not run for a while.
func (l *lease) silent() bool {
	return time.Duration(monotonic()-l.beat.Load()) > 3*beatEvery
}

// isHung reports whether the client keeps the guest stopped and has not run for as
// long as it may.
func (l *lease) isHung() bool {
	beat, may := l.beat.Load(), time.Duration(l.hung.Load())
	return beat != 0 && may > 0 && l.stopped() > may && time.Duration(monotonic()-beat) > may
}

// Operations of futex(2).
const (
	futexWait = 0
	futexWake = 1
)

// futex is futex(2) on a word of shared memory.
func futex(word *atomic.Uint32, op int, value uint32, timeout *unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), uintptr(op), uintptr(value), uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("futex", errno)
	}
	return nil
}

func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
