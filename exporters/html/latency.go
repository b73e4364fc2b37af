package html

import "github.com/ukdbg/ukdbg/tracebuf/hist"

// latency is the durations of one name, in nanoseconds.
type latency struct {
	name      string
	durations hist.Histogram
	errors    uint64
	total     int64
}

func (l *latency) add(ns int64, failed bool) {
	l.durations.Add(uint64(ns))
	l.total += ns
	if failed {
		l.errors++
	}
}
