package stream

import (
	"errors"
	"io"
	"math"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// maxQueued bounds the records that wait for their turn, in bytes. Recordings
// whose blocks are in order of time need a few blocks.
const maxQueued = 64 << 20

// merger merges guests by the host's time. Within a source chunks begin in
// order of time, so once one is read that begins at a time, everything before
// that time is known.
type merger struct {
	feeds   []feed
	cursors []*cursor
	byGuest map[*Guest]*cursor
	queued  int
	numbers int
	f       func(*Event) error
}

type feed struct {
	src      Source
	frontier int64
	done     bool
}

// cursor is how far one guest is given out.
type cursor struct {
	queue []*Chunk
	sc    *tracebuf.Scanner
	pos   positions
	unix  int64 // of the record the scanner stands on
	last  int64
	fresh bool // that record is the first of its chunk
}

func merge(sources []Source, first *Chunk, f func(*Event) error) error {
	m := &merger{byGuest: map[*Guest]*cursor{}, f: f}
	for _, s := range sources {
		m.feeds = append(m.feeds, feed{src: s, frontier: math.MinInt64})
	}
	if first != nil {
		if err := m.take(&m.feeds[0], first); err != nil {
			return err
		}
	}
	for {
		head := m.earliest()
		if fd := m.behind(); fd != nil && (head == nil || head.unix >= fd.frontier) && m.queued < maxQueued {
			if err := m.read(fd); err != nil {
				return err
			}
			continue
		}
		if head == nil {
			return nil
		}
		if err := m.give(head); err != nil {
			return err
		}
	}
}

// earliest returns the cursor with the earliest record, nil if there is none.
func (m *merger) earliest() *cursor {
	var best *cursor
	for _, c := range m.cursors {
		if c.sc != nil && (best == nil || c.unix < best.unix) {
			best = c
		}
	}
	return best
}

// behind returns the source that is known the least far, nil if all are read.
func (m *merger) behind() *feed {
	var best *feed
	for i := range m.feeds {
		if fd := &m.feeds[i]; !fd.done && (best == nil || fd.frontier < best.frontier) {
			best = fd
		}
	}
	return best
}

func (m *merger) read(fd *feed) error {
	c, err := fd.src.Next()
	if errors.Is(err, io.EOF) {
		fd.done = true
		return nil
	}
	if err != nil {
		return err
	}
	return m.take(fd, c)
}

// take queues a copy of a chunk. Gaps and damage are told at once.
func (m *merger) take(fd *feed, c *Chunk) error {
	if c.Damage != nil {
		return m.f(&Event{Chunk: c, First: true})
	}
	cur := m.byGuest[c.Guest]
	if cur == nil {
		cur = &cursor{}
		m.byGuest[c.Guest] = cur
		m.cursors = append(m.cursors, cur)
		c.Guest.Number = m.numbers
		m.numbers++
	}
	own := *c
	own.Records = append([]byte(nil), c.Records...)
	if c.Lost != nil {
		l := *c.Lost
		own.Lost = &l
	}
	cur.queue = append(cur.queue, &own)
	m.queued += len(own.Records)
	// Blocks come in the order of these times, not quite of their first records'.
	if c.Head.After != 0 {
		fd.frontier = max(fd.frontier, c.Head.After)
	} else if c.Clock.Known {
		fd.frontier = max(fd.frontier, c.Clock.Unix(c.Head.First))
	}
	if cur.sc == nil {
		return m.advance(cur)
	}
	return nil
}

// advance moves a cursor to its next record, telling gaps on the way.
func (m *merger) advance(cur *cursor) error {
	for {
		if cur.sc != nil {
			if cur.sc.Scan() {
				r, c := cur.sc.Record(), cur.queue[0]
				if r.Problem == tracebuf.Good {
					if cur.pos.generation != c.Generation {
						cur.pos = positions{generation: c.Generation}
					}
					r.Position = cur.pos.next(r.Time)
					// What has no host time keeps its place.
					if c.Clock.Known {
						cur.last = c.Clock.Unix(r.Time)
					}
				}
				cur.unix = cur.last
				return nil
			}
			m.queued -= len(cur.queue[0].Records)
			cur.queue, cur.sc = cur.queue[1:], nil
		}
		if len(cur.queue) == 0 {
			return nil
		}
		c := cur.queue[0]
		if c.Lost != nil {
			cur.queue = cur.queue[1:]
			if err := m.f(&Event{Chunk: c, First: true}); err != nil {
				return err
			}
			continue
		}
		cur.sc, cur.fresh = c.Scanner(), true
	}
}

func (m *merger) give(cur *cursor) error {
	ev := Event{Rec: cur.sc.Record(), Chunk: cur.queue[0], First: cur.fresh}
	cur.fresh = false
	if err := m.f(&ev); err != nil {
		return err
	}
	return m.advance(cur)
}
