package sampling

import (
	"sync"
	"time"
)

// Budget is how many spans may be sent in a second, by all guests together. It is safe
// for concurrent use.
type Budget struct {
	mu     sync.Mutex
	rate   float64
	tokens float64
	at     time.Time
}

// burst is how many seconds' spans may be sent at once after a quiet time.
const burst = 5

// NewBudget makes one of rate spans a second.
func NewBudget(rate float64) *Budget { return &Budget{rate: rate, tokens: rate * burst} }

// take takes n spans from the budget if it has them and leaves reserve of its size, a
// part of 1, to others.
func (b *Budget) take(now time.Time, n int, reserve float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.tokens += max(0, now.Sub(b.at).Seconds()) * b.rate
	}
	b.at = now
	b.tokens = min(b.tokens, b.rate*burst)
	if b.tokens-float64(n) < reserve*b.rate*burst {
		return false
	}
	b.tokens -= float64(n)
	return true
}
