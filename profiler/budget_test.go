package profiler

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	start := time.Unix(0, 0)
	b := budget{share: 0.05, last: start}
	now := start.Add(10 * time.Millisecond)
	// 500 µs earned, 300 µs spent: no wait.
	if next := b.spend(300*time.Microsecond, now); next != now {
		t.Errorf("must wait %v with budget left", next.Sub(now))
	}
	// 200 µs left: an outlier of 1.2 ms overdraws by 1 ms, which takes 20 ms.
	if next := b.spend(1200*time.Microsecond, now); next.Sub(now) != 20*time.Millisecond {
		t.Errorf("must wait %v, want 20 ms", next.Sub(now))
	}
	// Nothing for an hour saves up no more than a second's worth.
	now = now.Add(time.Hour)
	if next := b.spend(50*time.Millisecond, now); next != now {
		t.Errorf("must wait %v with budget left", next.Sub(now))
	}
	if next := b.spend(time.Millisecond, now); next.Sub(now) != 20*time.Millisecond {
		t.Errorf("must wait %v, want 20 ms", next.Sub(now))
	}
	// Dear stops for ten seconds, each as soon as it may be.
	b = budget{share: 0.05, last: start}
	var total time.Duration
	for now = start; now.Sub(start) < 10*time.Second; {
		now = now.Add(3 * time.Millisecond)
		total += 3 * time.Millisecond
		now = b.spend(3*time.Millisecond, now)
	}
	if share := float64(total) / float64(now.Sub(start)); share > 0.0501 {
		t.Errorf("stopped for %.2f %% of the time, budget is 5 %%", 100*share)
	}
}
