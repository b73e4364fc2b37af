package gdbstub

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// pageSize is the smallest unit in which a guest's memory can be missing.
const pageSize = 4096

// reader is the flow of m packets that fills ranges. A range is read piece by
// piece in order; pieces of several ranges are in flight together. One that
// fails ends its range at that place, and what was asked beyond is ignored.
type reader struct {
	c      *Client
	ranges []target.Range
	state  []progress
	next_  int   // range to ask for next
	again  []int // ranges to go on with after a short or failed piece
	pieces []piece
	free   []int
	noChop bool // the stub's largest read is certain
	chunk  int  // the largest read worth trying when the flow began
	// foreseen: all of it was there a moment ago, so pieces may straddle pages.
	foreseen bool
}

// progress of one range.
type progress struct {
	asked  int // bytes asked for
	limit  int // no piece beyond this offset may be asked for, see split
	flying int // pieces in flight
	redo   bool
	done   bool
}

// piece is one m packet.
type piece struct {
	r, off, n int
}

func (r *reader) next(cl *call, p []byte) ([]byte, int, bool) {
	i, ok := r.pick()
	if !ok {
		return nil, 0, false
	}
	rg, st := &r.ranges[i], &r.state[i]
	addr := rg.Addr + uint64(st.asked)
	n := min(len(rg.Data)-st.asked, r.c.chunk)
	if !r.foreseen {
		n = r.c.pieceSize(addr, n)
	}
	if st.limit > 0 {
		n = min(n, st.limit)
		st.limit = 0
	}
	cl.reset(replyHex)
	cl.dst = rg.Data[st.asked : st.asked+n]
	cl.tag = r.hold(piece{i, st.asked, n})
	st.asked += n
	st.flying++
	p = packet.AppendUint(append(p, 'm'), addr)
	return packet.AppendUint(append(p, ','), uint64(n)), n, true
}

// pick returns a range with something left to ask for.
func (r *reader) pick() (int, bool) {
	for len(r.again) > 0 {
		i := r.again[len(r.again)-1]
		if st := &r.state[i]; !st.done && st.asked < len(r.ranges[i].Data) {
			return i, true
		}
		r.again = r.again[:len(r.again)-1]
	}
	for ; r.next_ < len(r.ranges); r.next_++ {
		if st := &r.state[r.next_]; !st.done && !st.redo && st.asked < len(r.ranges[r.next_].Data) {
			return r.next_, true
		}
	}
	return 0, false
}

func (r *reader) hold(p piece) int {
	if n := len(r.free); n > 0 {
		t := r.free[n-1]
		r.free = r.free[:n-1]
		r.pieces[t] = p
		return t
	}
	r.pieces = append(r.pieces, p)
	return len(r.pieces) - 1
}

func (r *reader) done(cl *call) error {
	p := r.pieces[cl.tag]
	r.free = append(r.free, cl.tag)
	rg, st := &r.ranges[p.r], &r.state[p.r]
	st.flying--
	defer func() {
		if st.redo && st.flying == 0 && !st.done {
			// Go on from where the range has got to.
			st.redo, st.asked = false, rg.N
			r.again = append(r.again, p.r)
		}
	}()
	switch {
	case cl.err != nil && !errors.Is(cl.err, errCorrupt):
		if rg.Err == nil {
			rg.Err = cl.err
		}
		st.done = true
		return cl.err
	case st.done || st.redo || p.off != rg.N:
		return nil // behind a piece that failed
	case cl.err != nil:
		rg.Err, st.done = cl.err, true
	case cl.code != "" || cl.empty || cl.n == 0:
		r.failed(p, cl)
	case cl.n < p.n:
		// The stub gives as much as it can: its limit, or the end of memory.
		rg.N += cl.n
		r.c.chunkOK = max(r.c.chunkOK, cl.n)
		st.redo = true
	default:
		rg.N += cl.n
		r.c.chunkOK = max(r.c.chunkOK, cl.n)
	}
	return nil
}

// failed decides what an unreadable piece means: memory missing from its start
// on, memory missing from a page boundary within it on, or a read larger than
// the stub takes.
func (r *reader) failed(p piece, cl *call) {
	rg, st := &r.ranges[p.r], &r.state[p.r]
	addr := rg.Addr + uint64(p.off)
	toPage := int(pageSize - addr%pageSize)
	switch {
	case p.n > toPage:
		st.redo, st.limit = true, toPage
	case !r.noChop && p.n > r.c.chunkOK && p.n > minChunk:
		r.c.chunk = max(minChunk, p.n/2)
		st.redo = true
	default:
		why := cl.code
		if cl.empty {
			why = "empty answer"
		}
		if r.c.chunkOK < r.c.chunk {
			r.c.chunk = r.chunk // it was missing memory, not the size
		}
		rg.Err = &target.FaultError{Addr: addr, Why: why}
		st.done = true
	}
}

// pieceSize cuts a read so that pieces do not straddle pages: then a missing page,
// as above a stack, costs no second request.
func (c *Client) pieceSize(addr uint64, left int) int {
	n := min(left, c.chunk)
	if over := int((addr + uint64(n)) % pageSize); over < n {
		n -= over
	}
	return n
}

// ReadMemory reads by virtual address, as the processor last looked at sees it.
// Our own breakpoints are masked.
func (c *Client) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	one := [1]target.Range{{Addr: addr, Data: p}}
	if err := c.ReadMany(ctx, one[:]); err != nil {
		return one[0].N, err
	}
	return one[0].N, one[0].Err
}

// ReadMany reads many ranges with several requests in flight.
func (c *Client) ReadMany(ctx context.Context, ranges []target.Range) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	err := c.readForeseen(ctx, ranges)
	for i := range ranges {
		c.mask(ranges[i].Data[:ranges[i].N], ranges[i].Addr)
	}
	return err
}

// readForeseen is readRanges but for what came with the registers of this stop.
func (c *Client) readForeseen(ctx context.Context, ranges []target.Range) error {
	f := &c.foresight
	if !c.events.isHeld() {
		f.gaps = f.gaps[:0] // what may be there by now is looked at
	}
	defer func() {
		if f.learns && c.prof.pipelining {
			f.learn(ranges, c.chunk)
		}
	}()
	if len(f.due) == 0 || f.when != c.epoch || c.Running() && !c.wasLapsed() {
		f.judge(false)
		return c.readRanges(ctx, ranges)
	}
	parts, whose := f.missing(ranges)
	f.judge(len(parts) == 0)
	var err error
	if len(parts) > 0 {
		err = c.readRanges(ctx, parts)
	}
	f.whole(ranges, parts, whose)
	return err
}

func (c *Client) readRanges(ctx context.Context, ranges []target.Range) error {
	r := c.newReader(ranges)
	err := c.exchange(ctx, r)
	r.end(err)
	return err
}

// newReader prepares the reading of ranges. There is one reader at a time.
func (c *Client) newReader(ranges []target.Range) *reader {
	r := &c.reading
	*r = reader{c: c, ranges: ranges, state: r.state[:0], again: r.again[:0], pieces: r.pieces[:0], free: r.free[:0], noChop: c.prof.qemu || c.prof.inImage, chunk: c.chunk}
	for i := range ranges {
		rg := &ranges[i]
		rg.N, rg.Err = 0, nil
		st := progress{}
		// A range over the end of the address space ends there.
		if n := len(rg.Data); n > 0 && rg.Addr+uint64(n-1) < rg.Addr {
			rg.Err = fmt.Errorf("read of %d bytes at %#x: %w", n, rg.Addr, &target.FaultError{Addr: 0, Why: "beyond the end of the address space"})
			st.done = true
		}
		r.state = append(r.state, st)
	}
	return r
}

// asked reports whether all there is to ask for has been.
func (r *reader) asked() bool {
	_, more := r.pick()
	return !more
}

// end lets go of the ranges; err says why they were not read to the end.
func (r *reader) end(err error) {
	for i := range r.ranges {
		if rg := &r.ranges[i]; err != nil && rg.Err == nil && rg.N < len(rg.Data) {
			rg.Err = err
		}
	}
	r.ranges = nil
}

// Physical returns the guest's memory by physical address, or nil if the stub
// cannot give it. Our own breakpoints are not masked in it.
func (c *Client) Physical() target.Memory {
	c.op.Lock()
	defer c.op.Unlock()
	if !c.prof.qemu {
		return nil
	}
	return physical{c}
}

// physical is QEMU's Qqemu.PhyMemMode.
type physical struct{ c *Client }

func (m physical) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	one := [1]target.Range{{Addr: addr, Data: p}}
	if err := m.ReadMany(ctx, one[:]); err != nil {
		return one[0].N, err
	}
	return one[0].N, one[0].Err
}

func (m physical) ReadMany(ctx context.Context, ranges []target.Range) (err error) {
	c := m.c
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if _, err := c.request(ctx, "Qqemu.PhyMemMode:1"); err != nil {
		return err
	}
	defer func() {
		// Whatever happened, m must mean virtual addresses again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.opt.ReplyTimeout)
		defer cancel()
		if _, e := c.request(ctx, "Qqemu.PhyMemMode:0"); err == nil {
			err = e
		}
	}()
	return c.readRanges(ctx, ranges)
}
