package agent

import "time"

// clock dates a guest's times by the host's. A guest's clock stands still while the
// guest does (paused, migrated, scaled to zero), so that host time minus guest time,
// the offset, only grows; a guest that is set back begins a clock anew.
//
// What bounds the offset are readings of the trace buffer: a record was written before
// the reading it came with, and after the reading before. Times of the host are those
// of a clock that nobody sets; what that means in Unix time is asked for last, so that
// a step of the host's clock spoils nothing.
type clock struct {
	known     bool
	low, high time.Duration // bounds of the offset
	at        time.Duration // of the last reading with records
}

// drift is how much faster or slower a guest's clock may go, in millionths, slack what
// readings may contradict each other by without a pause.
const (
	drift = 100
	slack = time.Millisecond
)

// observed is a reading with records, times in nanoseconds: the guest's since its boot,
// the host's since the agent's start.
type observed struct {
	first, last uint64
	records     int
	// after is that of the reading before, if there was one.
	after, before time.Duration
	hasAfter      bool
	// floor is a bound from below that holds whatever is known: when the VMM started.
	floor time.Duration
	// old: the records may be of any age.
	old bool
}

// take narrows the bounds by a reading and returns the offset of its records and how
// far that may be wrong.
func (c *clock) take(o observed) (offset, uncertainty time.Duration) {
	high := o.before - time.Duration(o.last)
	low := o.floor
	if o.hasAfter {
		low = max(low, o.after-time.Duration(o.first))
	}
	if !c.known {
		c.known, c.low, c.high = true, min(low, high), high
	} else {
		c.narrow(o, low, high)
	}
	c.at = o.before
	// The newest record is as old as records are apart; nothing like it can be said of
	// the bound from below, which a pause makes wide.
	gap := time.Duration(0)
	if o.records > 1 {
		gap = time.Duration(o.last-o.first) / time.Duration(o.records-1) / 2
	}
	offset = max(c.low, c.high-gap)
	if o.old {
		offset = c.low
	}
	return offset, max(c.high-offset, offset-c.low)
}

// narrow puts a reading's bounds to those known.
func (c *clock) narrow(o observed, low, high time.Duration) {
	passed := o.before - c.at
	c.low -= passed * drift / 1_000_000
	c.high += passed * drift / 1_000_000
	switch {
	case low > c.high+slack:
		// It stood still: it wrote nothing when it was looked at, and what it wrote then is
		// younger than it could be. A guest that is quiet does not look like this.
		c.low, c.high = low, high
	case high < c.low-slack:
		// Its clock runs fast, or was set.
		c.low, c.high = min(low, high), high
	default:
		c.low, c.high = max(c.low, low), min(c.high, high)
		if c.low > c.high {
			c.low = c.high
		}
	}
	c.low = min(c.low, c.high)
}

// reset forgets everything: the guest was set back.
func (c *clock) reset() { *c = clock{} }
