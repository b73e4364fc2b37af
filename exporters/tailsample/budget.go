package tailsample

import (
	"sync"
	"time"
)

// burst is how many seconds' spans may be sent at once after a quiet time.
const burst = 10

// reserve is the part of the burst that traces which are neither slow nor failed
// leave to those that are.
const reserve = 0.5

// Budget is how many spans may be sent in a second, by all guests together. It is
// safe for concurrent use.
type Budget struct {
	mu     sync.Mutex
	rate   float64
	tokens float64
	at     time.Time
}

// NewBudget makes one of rate spans a second, of which nothing is used yet.
func NewBudget(rate float64) *Budget { return &Budget{rate: rate, tokens: rate * burst} }

// take takes n spans and reports whether they were there. A trace longer than the
// burst needs all of it, and leaves a debt: it would fit never else.
func (b *Budget) take(now time.Time, n int, worth bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := b.rate * burst
	if !b.at.IsZero() {
		b.tokens = min(most, b.tokens+max(0, now.Sub(b.at).Seconds())*b.rate)
	}
	b.at = now
	needed := float64(n)
	if !worth {
		needed += reserve * most
	}
	if most <= 0 || b.tokens < min(needed, most) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
