package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// load is what a machine under load is given beyond the promise: as many times
// of it as there are others that want to run.
func load() time.Duration {
	return time.Duration(max(0, loadAverage()-1) * float64(promise))
}

// loadAverage is the kernel's of the last minute, 0 if it does not tell.
func loadAverage() (busy float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &busy); err != nil {
		return 0
	}
	return busy
}

// stopwatch measures what is promised of a machine that has a processor for it. A
// load average of the last minute knows nothing of a burst of work.
type stopwatch struct {
	began time.Time
	short time.Duration
}

func startWatch() stopwatch { return stopwatch{time.Now(), guesttest.Shortage()} }

// took is the time since, and what of it the machine had something to spare.
func (s stopwatch) took() (whole, spare time.Duration) {
	whole = time.Since(s.began)
	return whole, max(0, whole-(guesttest.Shortage()-s.short))
}

// over reports whether it took longer than so much of a machine with something to
// spare, or than anybody waits for.
func (s stopwatch) over(most time.Duration) bool {
	whole, spare := s.took()
	return spare > most+load() || whole > most+patience
}
