package agent

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// self measures what the agent uses itself.
type self struct {
	mu    sync.Mutex
	at    time.Time
	cpu   time.Duration // with its children's
	share float64       // of one CPU, a moving mean
	slow  float64       // by how much work is done more seldom, at least 1
}

// The mean is over about meanOver; slow changes by steps, up to slowest.
const (
	meanOver = 30 * time.Second
	slowest  = 64.0
)

func newSelf() *self {
	s := &self{at: time.Now(), slow: 1}
	s.cpu = usedCPU()
	return s
}

// measure brings the mean up to date and adjusts how seldom work is done: above the
// limit at once, below it slowly.
func (s *self) measure(now time.Time, limit float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := now.Sub(s.at)
	if passed < time.Second {
		return
	}
	cpu := usedCPU()
	share := float64(cpu-s.cpu) / float64(passed)
	s.at, s.cpu = now, cpu
	weight := min(1, float64(passed)/float64(meanOver))
	s.share += weight * (share - s.share)
	switch {
	case s.share > limit:
		s.slow = min(slowest, s.slow*max(1.05, min(2, s.share/limit)))
	case s.share < 0.8*limit:
		s.slow = max(1, s.slow*0.97)
	}
}

// used tells the CPU time used, its share of one CPU of late, and by how much work is
// slowed down.
func (s *self) used() (cpu time.Duration, share, slow float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return usedCPU(), s.share, s.slow
}

// rss is the resident memory of this process in bytes, 0 if not known.
func rss() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
