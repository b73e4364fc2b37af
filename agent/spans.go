package agent

import (
	"sync"
	"time"
)

// spanRate measures how many spans are sent in a second, of all guests together.
type spanRate struct {
	mu    sync.Mutex
	since time.Time
	n     float64
	last  float64 // of the second before
}

// add counts n spans.
func (r *spanRate) add(now time.Time, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.n += float64(n)
}

// rate is that of the last whole second.
func (r *spanRate) rate(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	return r.last
}

func (r *spanRate) roll(now time.Time) {
	switch passed := now.Sub(r.since); {
	case passed >= 2*time.Second:
		r.since, r.n, r.last = now, 0, 0
	case passed >= time.Second:
		r.since, r.n, r.last = now, 0, r.n/passed.Seconds()
	}
}
