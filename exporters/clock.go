package exporters

import (
	"fmt"
	"sort"
)

// Clock maps a guest's time to Unix time. A guest's clock stands still while it
// is paused, migrated or scaled to zero, so the map is piecewise: one segment
// for each stretch the guest ran. The zero Clock takes guest time as Unix time.
type Clock struct{ segments []Segment }

// Segment is one stretch of guest time.
type Segment struct {
	// From is the first guest time of the segment in nanoseconds.
	From int64
	// Offset is Unix time minus guest time in nanoseconds.
	Offset int64
	// Uncertainty is how far the offset may be wrong either way, in
	// nanoseconds: half the time the reading of the guest's clock took.
	Uncertainty int64
}

// NewClock returns the clock of the segments, in order of From.
func NewClock(segments ...Segment) (Clock, error) {
	for i, s := range segments {
		if s.Uncertainty < 0 {
			return Clock{}, fmt.Errorf("clock segment %d: uncertainty %d ns is negative", i, s.Uncertainty)
		}
		if i > 0 && s.From <= segments[i-1].From {
			return Clock{}, fmt.Errorf("clock segment %d starts at guest time %d ns, not after the one before it", i, s.From)
		}
	}
	return Clock{segments: segments}, nil
}

// IsZero reports whether the clock is the zero Clock.
func (c Clock) IsZero() bool { return len(c.segments) == 0 }

// Unix returns the Unix time of a guest time and how far it may be wrong either
// way, in nanoseconds. A time before the first segment is dated by the first.
func (c Clock) Unix(guest int64) (unix, uncertainty int64) {
	if c.IsZero() {
		return guest, 0
	}
	i := sort.Search(len(c.segments), func(i int) bool { return c.segments[i].From > guest })
	s := c.segments[max(i-1, 0)]
	return guest + s.Offset, s.Uncertainty
}

// Boot returns the Unix time of guest time zero in the first segment.
func (c Clock) Boot() int64 {
	if c.IsZero() {
		return 0
	}
	return c.segments[0].Offset
}
