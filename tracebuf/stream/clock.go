package stream

import "github.com/ukdbg/ukdbg/tracebuf/recording"

// Piece maps the guest's clock to the host's for one stretch in which the guest
// ran.
type Piece struct {
	// Known is false where nothing tells the host's time.
	Known bool
	// From and Base are the same moment by the guest's and by the host's clock,
	// in nanoseconds.
	From uint64
	Base int64
	// Rate is host nanoseconds per guest nanosecond; 0 stands for 1.
	Rate float64
	// Uncertainty is how far the times may be wrong either way, in nanoseconds;
	// negative if that is not known.
	Uncertainty int64
}

// Unix returns the host's time of a guest time, 0 if it is not known.
func (p Piece) Unix(guest uint64) int64 {
	if !p.Known {
		return 0
	}
	d := int64(guest - p.From)
	if p.Rate != 0 {
		return p.Base + int64(float64(d)*p.Rate)
	}
	return p.Base + d
}

// clock makes pieces of what was observed of a guest. Offsets are host time
// minus guest time.
type clock struct {
	known    bool
	low      int64 // bounds of the offset, if known
	high     int64
	bounded  bool // low is one
	before   int64
	generate uint32
	segment  uint32
}

// next returns the piece for the records of a block. Blocks of one reading
// share After and Before and so give nearly equal pieces.
func (c *clock) next(d recording.Data, generation uint32) Piece {
	if d.Records == 0 || d.Before == 0 || d.Last < d.First {
		return Piece{}
	}
	// A record was written after the guest was let run and before it stopped.
	high := d.Before - int64(d.Last)
	low, bounded := d.After-int64(d.First), d.After != 0
	if c.known && c.segment == d.Segment && c.generate == generation {
		// The offset only grew since, by at most what the guest stood still.
		stood := max(0, d.After-c.before)
		if h := c.high + stood; bounded && h >= low {
			high = min(high, h)
		}
		if c.bounded && c.low <= high && (!bounded || c.low > low) {
			low, bounded = c.low, true
		}
	}
	c.known, c.low, c.high, c.bounded, c.before = true, low, high, bounded, d.Before
	c.segment, c.generate = d.Segment, generation
	p := Piece{Known: true, From: d.First, Uncertainty: -1}
	switch {
	case !bounded:
		p.Base = int64(d.First) + high
	case low <= high:
		p.Base = int64(d.First) + low + (high-low)/2
		p.Uncertainty = (high - low + 1) / 2
	default:
		// More guest time than host time has passed: its clock runs fast.
		p.Base = d.After
		p.Rate = float64(d.Before-d.After) / float64(d.Last-d.First)
		p.Uncertainty = (low - high + 1) / 2
		c.known = false
	}
	return p
}
