package ring

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// take hands out the complete records in the positions [pos, head) of a ring's
// copy. With sync, no record is known to begin at pos.
func (rd *Reader) take(cpu int, pos, head uint64, sync bool) {
	c := &rd.cpus[cpu]
	c.told = 0
	c.gap = c.gap || sync
	for pos < head {
		if sync {
			start, found := rd.find(cpu, pos, head)
			if !found {
				break // what is here is not finished: it is met again
			}
			pos, sync = start, false
		}
		r, length, ok := rd.parse(cpu, pos, head)
		if !ok {
			// A writer was interrupted here. What it reserved is followed by the
			// records of those that interrupted it.
			if !rd.giveUp(c, pos, head) {
				break
			}
			rd.stats.Abandoned++
			pos, sync, c.gap = pos+8, true, true
			continue
		}
		rd.count(c, &r)
		rd.batch = append(rd.batch, r)
		pos += length
	}
	c.pos = pos
}

// giveUp tells whether an unfinished record has been waited for long enough, or
// has to be left lest what is behind it is overwritten.
func (rd *Reader) giveUp(c *cursor, pos, head uint64) bool {
	if c.stuck != pos+1 {
		c.stuck, c.since = pos+1, rd.now()
	}
	return rd.now().Sub(c.since) > rd.opt.Patience || head-pos > rd.r.Size/2
}

// count keeps the sequence and tells what is missing before r. Without a gap in
// what was read nothing can be: an interrupt between a writer's two
// reservations, of bytes and of a number, only swaps two neighbours' numbers.
func (rd *Reader) count(c *cursor, r *Record) {
	switch {
	case !c.begun:
		rd.stats.Before += r.Seq
		c.next, c.first = r.Seq+1, r.Seq
	case c.gap:
		if r.Seq > c.next {
			r.Lost = r.Seq - c.next
			rd.stats.Lost += r.Lost
			c.told = len(rd.batch) + 1
		}
		c.next, c.first = max(c.next, r.Seq)+1, r.Seq
	case r.Seq >= c.first:
		c.next++
	case rd.stats.Lost > 0: // the first record's neighbour, taken for missing
		rd.stats.Lost--
		if c.told > 0 {
			rd.batch[c.told-1].Lost--
		}
	case rd.stats.Before > 0:
		rd.stats.Before--
	}
	c.begun, c.gap = true, false
	rd.stats.Read++
	if r.Problem != tracebuf.Good {
		rd.stats.Bad++
	}
}

// find returns the first position at or after pos where a complete record
// begins. Its first word is that position itself, 63 bits of proof.
func (rd *Reader) find(cpu int, pos, head uint64) (uint64, bool) {
	for pos = (pos + 7) &^ 7; pos < head; pos += 8 {
		if rd.commit(cpu, pos) != pos|1 {
			continue
		}
		if _, _, ok := rd.parse(cpu, pos, head); ok {
			return pos, true
		}
	}
	return 0, false
}

func (rd *Reader) commit(cpu int, pos uint64) uint64 {
	return rd.r.l.commit.get(rd.cpus[cpu].buf[pos%rd.r.Size:])
}

// parse reads the record at a position; ok is false if none is complete there.
func (rd *Reader) parse(cpu int, pos, head uint64) (r Record, length uint64, ok bool) {
	l := &rd.r.l
	b := rd.cpus[cpu].buf[pos%rd.r.Size:]
	b = b[:min(uint64(len(b)), rd.r.MaxRecord, head-pos)]
	if uint64(len(b)) < l.recordSize || l.commit.get(b) != pos|1 {
		return r, 0, false
	}
	frames, args := l.recFrames.get(b), l.argsSize.get(b)
	start := l.recordSize + 8*frames
	length = start + (args+7)&^7
	if frames > MaxFrames || length > uint64(len(b)) || l.cpu.get(b) != uint64(cpu) {
		return r, 0, false
	}
	cookie := l.cookie.get(b)
	r.Record = tracebuf.NewRecord(rd.defs.Lookup(cookie-rd.slide), cookie, l.time.get(b), b[start:start+args])
	r.CPU, r.Thread, r.Seq = cpu, l.thread.get(b), l.recSeq.get(b)
	r.Frames = rd.addresses(b[l.recordSize:start])
	return r, length, true
}

// addresses decodes return addresses into memory that lives as long as the
// batch does.
func (rd *Reader) addresses(b []byte) []uint64 {
	if len(b) == 0 {
		return nil
	}
	start := len(rd.frame)
	for ; len(b) >= 8; b = b[8:] {
		rd.frame = append(rd.frame, binary.LittleEndian.Uint64(b))
	}
	return rd.frame[start:len(rd.frame):len(rd.frame)]
}
