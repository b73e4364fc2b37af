package gdbstub

import "time"

// Stats counts what passed between client and stub.
type Stats struct {
	// RoundTrips is how many requests were sent.
	RoundTrips uint64
	// Flights is how often some were sent while none was unanswered: the ways there
	// and back that were waited for, whatever each carried.
	Flights uint64
	// BytesIn is how many bytes came from the stub.
	BytesIn uint64
	// BadPackets had a wrong checksum, a bad encoding or were too long.
	BadPackets uint64
	// Strays were packets that answered nothing.
	Strays uint64
	// Resumes is how often the guest was let run.
	Resumes uint64
	// Stops is how often the guest was stopped by us; Stopped is for how long
	// in all, Longest the longest of them. The present stop counts.
	Stops   int
	Stopped time.Duration
	Longest time.Duration
	// Held is the longest time between a stop's being told and the order to run:
	// our own part of Longest, which begins when the stop was asked for. Latest
	// is the longest stop up to the stub's acknowledgement of the order, when the
	// guest ran again for certain; 0 where the stub does not tell.
	Held, Latest time.Duration
	// Lapsed counts the stops that were ended because their time was over.
	Lapsed int
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	if !c.run.stoppedSince.IsZero() {
		d := time.Since(c.run.stoppedSince)
		s.Stopped += d
		s.Longest = max(s.Longest, d)
	}
	return s
}
