package profiler

import (
	"math/rand/v2"
	"time"
)

// schedule hands out the slots of a run, one period each: in each a sample is due. A
// slot that has passed is missed, but for those that are younger than the backlog.
type schedule struct {
	begin   time.Time
	period  time.Duration
	total   int64 // slots of the run
	backlog int64 // in slots

	slot int64 // the next
}

// catchUp is for how long a slot that has passed is sampled all the same, where nothing
// is stopped for it: a host that was busy for a moment costs no samples. Their lateness
// counts like that of all.
const catchUp = 5 * time.Millisecond

// next returns when the next slot begins, if it can be sampled from now on, and how
// many were missed meanwhile.
func (s *schedule) next(now time.Time) (begin time.Time, missed int) {
	if passed := int64(now.Sub(s.begin)/s.period) - s.backlog; passed > s.slot {
		missed = int(min(passed, s.total) - min(s.slot, s.total))
		s.slot = passed
	}
	begin = s.begin.Add(time.Duration(s.slot) * s.period)
	s.slot++
	return begin, missed
}

// rest is how many slots, that last handed out among them, are not sampled any more.
func (s *schedule) rest() int { return int(max(0, s.total-s.slot+1)) }

// moment is when a slot is sampled that was to be at a moment, but cannot before
// earliest: at random from then on, as all are, or at once where a late sample stops
// nothing. With a random wait for each, a backlog would never be caught up.
func moment(at, earliest time.Time, period time.Duration, unstopped bool) time.Time {
	if !unstopped && at.Before(earliest) {
		return earliest.Add(rand.N(period))
	}
	return at
}
