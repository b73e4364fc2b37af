package guard

import (
	"bytes"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// A stop is let last longer than its cap by this before its client is ended: where
// the guard could not end the stop alone.
const (
	backstopFactor = 4
	backstopSlack  = 50 * time.Millisecond
)

// askedPatience is how long a guest may take to stop: until then its client is not
// ended for that. One that runs gives up by itself and says why; it has askedMost.
const (
	askedPatience = time.Second
	askedMost     = 15 * time.Second
)

// lookEvery is how often the guard looks for a client that hangs.
const lookEvery = 100 * time.Millisecond

// backstop ends a client that keeps the guest stopped and does not let it run.
func (p *process) backstop(l *lease, st *journal.State) {
	limit := backstopFactor*st.MaxPause + backstopSlack
	for range time.Tick(min(lookEvery, limit/5)) {
		d := l.stopped()
		switch {
		case st.MaxPause > 0 && d > limit && (!l.is(leaseAsked) || d > askedPatience && l.silent() || d > askedMost):
			p.logf("the guest is stopped for %v, %v is allowed: ending process %d", d, st.MaxPause, st.Client.PID)
		case l.isHung():
			p.logf("process %d hangs and keeps the guest stopped for %v: ending it", st.Client.PID, d)
		default:
			continue
		}
		if alive(st.Client) {
			_ = syscall.Kill(st.Client.PID, syscall.SIGKILL) // takeOver follows
		}
		return
	}
}

// retryLease is how soon the guard looks again at a stop it could not end.
const retryLease = 200 * time.Microsecond

// keepLease ends each stop that its client has not ended by the deadline.
//
// Where this process may, it does so before everything else the host runs: it is
// awake for some microseconds at a time.
func (p *process) keepLease(l *lease) {
	runtime.LockOSThread()
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0) // it takes CAP_SYS_NICE
	for {
		word := l.state.Load()
		state := word & leaseMask
		left := time.Duration(l.deadline.Load() - monotonic())
		switch {
		case state == leaseIdle, state == leaseEnding, state == leaseEnded:
			// A client that has anything to tell wakes us, and a signal or a word that
			// changed meanwhile is no reason to do otherwise.
			_ = futex(&l.state, futexWait, word, nil)
		case left > 0:
			t := unix.NsecToTimespec(int64(left))
			_ = futex(&l.state, futexWait, word, &t)
		case !p.endStop(l, word):
			time.Sleep(retryLease)
		}
	}
}

// endStop writes the order to run in the stop that word was read in; false: it could
// not.
func (p *process) endStop(l *lease, word uint32) bool {
	n := l.size.Load()
	if n == 0 || word&leaseMask == leaseWriting {
		return false
	}
	p.linkMu.Lock()
	defer p.linkMu.Unlock()
	done := false
	for _, fd := range p.link {
		done = done || p.endBy(fd, l, word, int(n))
	}
	return done
}

// endBy writes the order to the socket fd, if that is the one connected; linkMu is
// held.
func (p *process) endBy(fd int, l *lease, word uint32, n int) bool {
	state := word & leaseMask
	if _, err := unix.Getpeername(fd); err != nil {
		return false
	}
	if state == leaseAsked && !stopTold(fd) {
		return false // it does not stand yet, or another has stopped it
	}
	l.ended.Store(monotonic())
	p.untold = state == leaseAsked
	if !l.state.CompareAndSwap(word, word&^leaseMask|leaseEnding) {
		return false
	}
	if _, err := unix.SendmsgN(fd, l.order[:min(n, len(l.order))], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		p.logf("ending a stop: %v", err) // the client is ended soon
		l.change(leaseEnding, state)
		return false
	}
	l.change(leaseEnding, leaseEnded)
	p.logf("ended a stop after %v: its client did not in time", time.Duration(monotonic()-l.since.Load()))
	return true
}

// stopTold looks whether the stub has told that it stopped as it was asked to, and
// the client has not read it.
func stopTold(fd int) bool {
	var buf [1 << 10]byte
	n, _, err := unix.Recvfrom(fd, buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && bytes.Contains(buf[:n], []byte("$T02"))
}
