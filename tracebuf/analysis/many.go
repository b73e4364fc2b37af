package analysis

import (
	"errors"
	"io"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// many tells whether nothing but intervals and counts is asked for, and of all
// records: then neither their times of day nor how guests interleave matter.
func (r *run) many() bool {
	q, v := r.q, &r.v
	return v.Intervals != nil && v.Instants != nil && v.Record == nil && v.Bad == nil && v.Span == nil &&
		!r.full && !q.From.Set && !q.To.Set && len(q.Names) == 0 && len(q.Threads) == 0 && q.Sample <= 1
}

// manyIntervals is how many go to the visitor at a time: they stay in the
// processor's nearest cache.
const manyIntervals = 256

// runMany reads the sources one after the other.
func (r *run) runMany(sources []stream.Source) error {
	ivs := make([]tracebuf.Interval, 0, manyIntervals)
	for _, src := range sources {
		if s, ok := src.(*stream.Snapshot); ok {
			s.Whole = true
		}
		for {
			c, err := src.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := r.chunkOfMany(c, ivs); err != nil {
				return err
			}
		}
	}
	for _, l := range r.order {
		for i, d := range l.guest.Definitions.All {
			n := l.pairer.Met(i)
			if n == 0 || !l.pairer.Instant(d) {
				continue
			}
			r.totals.Chosen += n
			r.v.Instants(l.guest, i, n)
		}
	}
	return nil
}

func (r *run) chunkOfMany(c *stream.Chunk, ivs []tracebuf.Interval) error {
	if c.Lost != nil || c.Damage != nil {
		return r.gap(&stream.Event{Chunk: c})
	}
	if len(c.Records) == 0 {
		return nil // no event comes of it either
	}
	l := r.last
	if l == nil || l.guest != c.Guest {
		l = r.lane(c.Guest)
	}
	r.chunk(l, c)
	sc := c.Scanner()
	for more := true; more; {
		ivs, more = l.pairer.MeasureAll(sc, ivs[:0])
		r.v.Intervals(l.guest, ivs)
		r.totals.Spans += uint64(len(ivs))
		r.totals.Chosen += uint64(len(ivs))
		for i := range ivs {
			if ivs[i].Ambiguous {
				r.totals.Ambiguous++
			}
		}
		if rec := sc.Record(); more && rec.Problem != tracebuf.Good {
			if err := r.bad(l, &stream.Event{Rec: rec, Chunk: c}); err != nil {
				return err
			}
		}
	}
	r.tally(l, sc.Stats())
	return nil
}

// tally adds what a scanner met in a chunk.
func (r *run) tally(l *lane, st tracebuf.Stats) {
	if st.Records == 0 {
		return
	}
	t := &l.totals
	switch {
	case !l.begun:
		l.begun, t.First = true, st.First
	case st.First < t.Last:
		r.totals.Backwards++
	}
	l.reaches(st.First)
	t.Last = st.Last
	t.Records += uint64(st.Records)
	r.totals.Backwards += uint64(st.Backwards)
}
