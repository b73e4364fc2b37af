package ring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// Options say how a Reader reads.
type Options struct {
	// New leaves out the records from before the first Poll.
	New bool
	// Patience is how long a record that a writer began is waited for before it
	// is passed over, 1 s if 0: the writer was interrupted, or died.
	Patience time.Duration
}

// Record is one record of one CPU. It and what it points to are valid until
// Poll's callback returns.
type Record struct {
	tracebuf.Record
	CPU int
	// Thread is the address of the writing thread's structure, 0 before there
	// are threads.
	Thread uint64
	// Seq counts the CPU's records since boot from 0.
	Seq uint64
	// Lost is how many records of this CPU are missing just before this one:
	// overwritten before they were read, or never finished.
	Lost uint64
	// Frames are return addresses, innermost first.
	Frames []uint64
}

// Stats counts what a Reader met.
type Stats struct {
	// Written is the records the guest wrote since boot, as it counts them;
	// Before those from before the first that was read or lost here. Once all
	// is read, Written is Before + Read + Lost + Pending.
	Written, Before uint64
	// Read is the records handed out; of these Bad have a Problem.
	Read, Bad uint64
	// Lost is the records that were overwritten before they were read, or whose
	// writer never finished them (Abandoned counts the latter as events).
	Lost, Abandoned uint64
	// Pending is the records that were written or begun, but not read yet.
	Pending uint64
	// Unreadable is how many rings could not be read at the last Poll: those of
	// CPUs that never recorded, where the guest's memory is given out by use.
	Unreadable int
	// Polls is how often the rings were read, Bytes how much of them.
	Polls int
	Bytes uint64
}

// maxHead bounds what a ring can have counted, in bytes: at 1 GB a second it is
// reached after 146 years.
const maxHead = 1 << 62

// cursor is how far one ring was read.
type cursor struct {
	begun   bool   // a record was read, so next is known
	placed  bool   // pos is known
	pos     uint64 // position of the next record
	next    uint64 // its sequence number, if nothing is lost
	first   uint64 // that of the first record since something was missing
	written uint64 // the guest's count at the last poll
	// gap: something is missing just before the next record.
	gap bool
	// told is one more than the index in this Poll's batch of the record that
	// tells of the last gap, 0 for none.
	told int
	// stuck is one more than the position of the unfinished record that stops
	// us since then, 0 for none.
	stuck uint64
	since time.Time
	buf   []byte
}

// Reader hands out the records of all rings.
type Reader struct {
	r     *Rings
	defs  *tracebuf.Definitions
	slide uint64
	opt   Options
	cpus  []cursor
	batch []Record
	frame []uint64
	stats Stats
	now   func() time.Time
}

// NewReader makes a reader of the rings' records, which are those of defs. slide
// is the cookies' run-time minus link-time address.
func (r *Rings) NewReader(defs *tracebuf.Definitions, slide uint64, opt Options) *Reader {
	if opt.Patience == 0 {
		opt.Patience = time.Second
	}
	return &Reader{r: r, defs: defs, slide: slide, opt: opt, cpus: make([]cursor, r.CPUs), now: time.Now}
}

// Stats returns the counts so far.
func (rd *Reader) Stats() Stats {
	s := rd.stats
	for i := range rd.cpus {
		c := &rd.cpus[i]
		s.Written += c.written
		s.Pending += c.written - min(c.next, c.written)
	}
	return s
}

// Poll reads what was written since the last Poll and calls emit with each
// record, all CPUs together in order of time. Across two Polls a record may be
// older than the last of the Poll before, by the little time that reading takes.
// Where reading fails, what was read until then is handed out before.
func (rd *Reader) Poll(ctx context.Context, emit func(*Record) error) error {
	heads := make([]uint64, len(rd.cpus))
	if err := rd.readHeads(ctx, heads); err != nil {
		return err
	}
	rd.stats.Polls++
	rd.batch, rd.frame = rd.batch[:0], rd.frame[:0]
	var failed error
	for i, head := range heads {
		if failed = rd.collect(ctx, i, head); failed != nil {
			break // what was taken of others is handed out
		}
	}
	slices.SortStableFunc(rd.batch, func(a, b Record) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	for i := range rd.batch {
		if err := emit(&rd.batch[i]); err != nil {
			return err
		}
	}
	return failed
}

// readHeads reads how far each CPU wrote, and its count of records.
func (rd *Reader) readHeads(ctx context.Context, heads []uint64) error {
	b := make([]byte, 16*len(heads))
	ranges := make([]target.Range, 0, 2*len(heads))
	for i := range heads {
		ranges = append(ranges,
			target.Range{Addr: rd.r.ring(i) + rd.r.l.head.off, Data: b[16*i:][:8]},
			target.Range{Addr: rd.r.ring(i) + rd.r.l.seq.off, Data: b[16*i+8:][:8]})
	}
	n, err := readCounters(ctx, rd.r.mem, ranges)
	if err != nil {
		return err
	}
	rd.stats.Unreadable = n / 2
	for i := range heads {
		heads[i] = binary.LittleEndian.Uint64(b[16*i:])
		rd.cpus[i].written = binary.LittleEndian.Uint64(b[16*i+8:])
	}
	return nil
}

// headOf reads one CPU's head again.
func (rd *Reader) headOf(ctx context.Context, cpu int) (uint64, error) {
	return target.ReadUint(ctx, rd.r.mem, rd.r.ring(cpu)+rd.r.l.head.off, 8)
}

// collect copies what one CPU wrote up to head, finds out what of the copy is
// whole, and takes the records in it.
func (rd *Reader) collect(ctx context.Context, cpu int, head uint64) error {
	c, size, most := &rd.cpus[cpu], rd.r.Size, rd.r.MaxRecord
	if head%8 != 0 || head > maxHead {
		return fmt.Errorf("%w: the ring of CPU %d counts %#x bytes", ErrUntrusted, cpu, head)
	}
	if head < c.pos {
		// The guest was reset: begin again.
		*c = cursor{buf: c.buf, written: c.written}
	}
	if !c.placed && rd.opt.New {
		c.pos = head
	}
	c.placed = true
	from, sync := c.pos, c.gap
	if head-from > size-most {
		from, sync = head-(size-most), true
	}
	if from == head {
		c.pos = head
		return nil
	}
	if c.buf == nil {
		c.buf = make([]byte, size+most)
	}
	if err := rd.copy(ctx, cpu, from, head); err != nil {
		return err
	}
	again, err := rd.headOf(ctx, cpu)
	if err != nil {
		return err
	}
	// Whatever was written while we copied is newer than again says; all that
	// lies this far behind it was whole until then.
	if again > head && again-from > size-most {
		from, sync = min(again-(size-most), head), true
	}
	rd.take(cpu, from, head, sync)
	return nil
}

// copy reads the positions [from, head) of a ring into its buffer, each byte
// where it lies in the ring. A record that begins before the ring's end runs on
// into the spill area behind it.
func (rd *Reader) copy(ctx context.Context, cpu int, from, head uint64) error {
	c, size, data := &rd.cpus[cpu], rd.r.Size, rd.r.ring(cpu)+rd.r.l.data.off
	off := from % size
	if n := head - from; off+n <= size {
		rd.stats.Bytes += n
		return readAll(ctx, rd.r.mem, []target.Range{{Addr: data + off, Data: c.buf[off : off+n]}})
	}
	spill := c.buf[size:]
	rd.stats.Bytes += size - off + head%size + uint64(len(spill))
	err := readAll(ctx, rd.r.mem, []target.Range{
		{Addr: data + off, Data: c.buf[off:size]},
		{Addr: data, Data: c.buf[:head%size]},
	})
	if err != nil {
		return err
	}
	// A page of the spill area that no record has needed yet may not even exist.
	clear(spill)
	err = target.ReadFull(ctx, rd.r.mem, spill, data+size)
	if fault := (*target.FaultError)(nil); errors.As(err, &fault) {
		return nil
	}
	return err
}
