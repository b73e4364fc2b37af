package profiler

import "time"

// budget keeps the pauses within their share of the time. It grows with the
// time that passes and each pause is taken from it; while it is overdrawn the
// guest is not stopped.
type budget struct {
	share  float64
	last   time.Time
	credit time.Duration
}

// saved is how much time's worth of budget may be saved up: over any stretch of
// time T the guest is stopped for at most its share of T and this, and one
// pause more.
const saved = time.Second

// spend takes a pause that ended now, and returns when the next may begin.
func (b *budget) spend(pause time.Duration, now time.Time) time.Time {
	earned := time.Duration(float64(now.Sub(b.last)) * b.share)
	most := time.Duration(float64(saved) * b.share)
	b.credit = min(b.credit+earned, most) - pause
	b.last = now
	if b.credit >= 0 {
		return now
	}
	return now.Add(time.Duration(float64(-b.credit) / b.share))
}
