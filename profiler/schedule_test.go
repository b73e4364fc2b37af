package profiler

import (
	"testing"
	"time"
)

// TestSchedule: each slot is handed out once or missed, whenever it is asked for.
func TestSchedule(t *testing.T) {
	const ms = time.Millisecond
	begin := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		backlog int64
		took    []time.Duration // by each sample
		missed  int
		late    time.Duration // the most by which a slot's end had passed
	}{
		"in time":                  {0, []time.Duration{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0},
		"one takes long":           {0, []time.Duration{1, 35 * ms, 1, 1, 1, 1, 1, 1}, 2, 0},
		"made up for":              {2, []time.Duration{1, 35 * ms, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 15 * ms},
		"too long to make up for":  {2, []time.Duration{1, 55 * ms, 1, 1, 1, 1, 1, 1}, 2, 15 * ms},
		"always slow":              {0, []time.Duration{25 * ms, 25 * ms, 25 * ms, 25 * ms}, 6, 0},
		"beyond the end":           {2, []time.Duration{1, 1, 500 * ms}, 7, 0},
		"the last":                 {2, []time.Duration{1, 1, 1, 1, 1, 1, 1, 1, 1, 500 * ms}, 0, 0},
		"slow, and made up for":    {3, []time.Duration{25 * ms, 25 * ms, 25 * ms, 25 * ms, 25 * ms, 1, 1}, 4, 25 * ms},
		"cut short":                {0, []time.Duration{1, 1}, 8, 0},
		"cut short with a backlog": {5, []time.Duration{1, 1}, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := schedule{begin: begin, period: 10 * ms, total: 10, backlog: c.backlog}
			now, ticks, missed, late := begin, 0, 0, time.Duration(0)
			for {
				at, n := s.next(now)
				missed += n
				if !at.Before(begin.Add(100*ms)) || ticks == len(c.took) {
					missed += s.rest()
					break
				}
				if now.Before(at) {
					now = at
				}
				late = max(late, now.Sub(at.Add(10*ms)))
				now = now.Add(c.took[ticks])
				ticks++
			}
			if missed != c.missed || ticks+missed != 10 || late.Round(ms) != c.late {
				t.Errorf("%d samples, %d missed, late by %v; want %d missed, late by %v", ticks, missed, late, c.missed, c.late)
			}
		})
	}
}

// A backlog is caught up if nothing is waited for between its samples.
func TestMoment(t *testing.T) {
	earliest := time.Unix(100, 0)
	const period = time.Millisecond
	for range 100 {
		if at := moment(earliest.Add(-3*period), earliest, period, true); at.After(earliest) {
			t.Fatalf("a late sample that stops nothing waits for %v more", at.Sub(earliest))
		}
		if at := moment(earliest.Add(-period), earliest, period, false); at.Before(earliest) || !at.Before(earliest.Add(period)) {
			t.Fatalf("a stop is asked for %v from when the budget allows it", at.Sub(earliest))
		}
		if at := moment(earliest.Add(period), earliest, period, false); at != earliest.Add(period) {
			t.Fatalf("one that is not late is moved by %v", at.Sub(earliest))
		}
	}
}
