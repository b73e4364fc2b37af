package stream

import (
	"errors"
	"io"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// positions gives records their positions within one guest run.
type positions struct {
	last       uint64
	generation uint32
}

func (p *positions) next(time uint64) uint64 {
	pos := time << 8
	if pos <= p.last {
		pos = p.last + 1
	}
	p.last = pos
	return pos
}

// Each calls f with every record, gap and damage of the sources in order. One
// source is read as it comes; several guests are merged by the host's time. The
// event and what it holds are valid during the call.
func Each(sources []Source, f func(*Event) error) error {
	if len(sources) == 1 {
		first, err := sources[0].Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(sources[0].Guests()) < 2 {
			return inOrder(sources[0], first, f)
		}
		return merge(sources, first, f)
	}
	return merge(sources, nil, f)
}

// inOrder reads one source as it comes.
func inOrder(src Source, c *Chunk, f func(*Event) error) error {
	pos := map[*Guest]*positions{}
	var ev Event
	var err error
	for ; err == nil; c, err = src.Next() {
		ev = Event{Chunk: c, First: true}
		if c.Damage != nil || c.Lost != nil {
			if err := f(&ev); err != nil {
				return err
			}
			continue
		}
		p := pos[c.Guest]
		if p == nil || p.generation != c.Generation {
			p = &positions{generation: c.Generation}
			pos[c.Guest] = p
		}
		sc := c.Scanner()
		for sc.Scan() {
			ev.Rec = sc.Record()
			if ev.Rec.Problem == tracebuf.Good {
				ev.Rec.Position = p.next(ev.Rec.Time)
			}
			if err := f(&ev); err != nil {
				return err
			}
			ev.First = false
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
