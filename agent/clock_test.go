package agent

import (
	"testing"
	"time"
)

// simulated is a guest whose clock is known, read as a real one is.
type simulated struct {
	t       *testing.T
	c       clock
	host    time.Duration // now
	offset  time.Duration // host minus guest time
	gap     time.Duration // between records
	next    time.Duration // guest time of the next record
	records []time.Duration
	truth   []time.Duration // the offset when each was written
	after   time.Duration
	read    bool
	worst   time.Duration
}

// runs lets host time pass with the guest running, stands without.
func (s *simulated) runs(d time.Duration) {
	s.host += d
	for ; s.next <= s.host-s.offset; s.next += s.gap {
		s.records, s.truth = append(s.records, s.next), append(s.truth, s.offset)
	}
}

func (s *simulated) stands(d time.Duration) { s.host, s.offset = s.host+d, s.offset+d }

// each lets time pass, read each period.
func (s *simulated) each(d, period time.Duration, pass func(time.Duration)) {
	for end := s.host + d; s.host < end; s.poll() {
		pass(min(period, end-s.host))
	}
}

// poll reads the records up to now.
func (s *simulated) poll() {
	o := observed{before: s.host, after: s.after, hasAfter: s.read, floor: -1 << 62, records: len(s.records)}
	s.after, s.read = s.host, true
	if o.records == 0 {
		return
	}
	o.first, o.last = uint64(s.records[0]), uint64(s.records[o.records-1])
	offset, uncertain := s.c.take(o)
	for _, truth := range s.truth {
		wrong := (offset - truth).Abs()
		s.worst = max(s.worst, wrong)
		if wrong > uncertain+slack {
			s.t.Fatalf("at %v: wrong by %v, told %v", s.host, wrong, uncertain)
		}
	}
	s.records, s.truth = nil, nil
}

// The times of a guest with records each millisecond are right within 5 ms, across
// pauses shorter and longer than the time between readings.
func TestClock(t *testing.T) {
	s := &simulated{t: t, gap: time.Millisecond, offset: 17 * time.Second, host: 20 * time.Second, next: 2900 * time.Millisecond}
	const period = 250 * time.Millisecond
	s.each(3*time.Second, period, s.runs)
	for _, pause := range []time.Duration{400 * time.Millisecond, 2 * time.Second, time.Hour} {
		s.runs(90 * time.Millisecond) // it begins and ends between two readings
		s.stands(30 * time.Millisecond)
		s.poll()
		s.each(pause, period, s.stands)
		s.stands(700 * time.Millisecond) // a guest that does not run is not read
		s.runs(50 * time.Millisecond)
		s.poll()
		s.each(2*time.Second, period, s.runs)
	}
	if s.worst > 5*time.Millisecond {
		t.Errorf("wrong by %v", s.worst)
	}
	// A quiet guest is not one that stood still.
	s.next += time.Minute
	s.each(2*time.Minute, period, s.runs)
	if s.worst > 5*time.Millisecond {
		t.Errorf("a quiet minute: wrong by %v", s.worst)
	}
	// Set back: a clock of its own.
	s.c.reset()
	s.offset += 30 * time.Second
	s.next, s.read = s.host-s.offset, false
	s.each(3*time.Second, period, s.runs)
	if s.worst > 5*time.Millisecond {
		t.Errorf("wrong by %v", s.worst)
	}
}

// A guest's clock that is off by as much as oscillators are is followed.
func TestClockDrift(t *testing.T) {
	s := &simulated{t: t, gap: time.Millisecond, offset: time.Second, host: 2 * time.Second, next: time.Second}
	for range 4000 {
		s.each(250*time.Millisecond, 250*time.Millisecond, s.runs)
		s.offset += 10 * time.Microsecond // 40 millionths
	}
	for range 4000 {
		s.each(250*time.Millisecond, 250*time.Millisecond, s.runs)
		s.offset -= 10 * time.Microsecond
	}
	if s.worst > 5*time.Millisecond {
		t.Errorf("wrong by %v", s.worst)
	}
}

// A plain buffer that was full long before anybody looked is dated by the VMM's start.
func TestClockOldBuffer(t *testing.T) {
	var c clock
	offset, uncertain := c.take(observed{first: 1e6, last: 200e6, records: 1000, before: time.Hour, floor: time.Minute, old: true})
	if offset != time.Minute || uncertain < 58*time.Minute {
		t.Errorf("%v, %v", offset, uncertain)
	}
}
