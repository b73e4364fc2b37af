package profiler

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepShort sleeps for d, which is short, to some tens of microseconds: the
// runtime's own timers come up to a millisecond late, for which its poller waits in
// whole ones.
func sleepShort(d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	// Who is woken early, by a signal, is called again.
	_ = unix.Nanosleep(&ts, nil)
}
