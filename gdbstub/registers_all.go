package gdbstub

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// ReadAllRegisters reads the general registers of every processor, with the
// requests for all of them in flight together. It is what a stop as short as
// possible wants: one processor after the other costs a round trip each. What
// ReadMany read right behind it in the last stop comes in the same flight; see
// foresight.
func (c *Client) ReadAllRegisters(ctx context.Context) ([]target.Regs, error) {
	if err := c.enterAhead(ctx); err != nil {
		return nil, err
	}
	defer c.op.Unlock()
	out := make([]target.Regs, len(c.threads))
	if c.layout.inG == 0 || c.arch == nil {
		// The first g of a stub shows how far it goes.
		for i := range out {
			var err error
			if out[i], err = c.readRegisters(ctx, target.CPU(i)); err != nil {
				return nil, err
			}
		}
		c.foresight.asked, c.ahead.used = true, c.epoch
		return out, nil
	}
	f := c.askedAhead()
	if len(out) > 1 {
		c.selected = -1 // until all is well
	}
	var err error
	if c.ahead.calls.n == 0 {
		err = c.ready(ctx)
	}
	if err == nil {
		err = c.goOnWith(ctx, f, &c.ahead.calls)
	}
	c.dropAhead()
	f.behind.end(err)
	if errors.Is(err, target.ErrLapsed) && f.regs.got == len(f.regs.list) {
		c.foresight.unforeseen()
		err = nil // the registers are here
	}
	if err != nil {
		return nil, err
	}
	for i, s := range f.sets {
		if out[i], err = c.registerSet(f.regs.list, target.CPU(i), s); err != nil {
			return nil, err
		}
	}
	c.foresight.came, c.foresight.when, c.foresight.asked = c.foresight.want, c.epoch, true
	return out, nil
}

// all is the flow of every processor's registers and of what is foreseen to be read
// behind them.
type all struct {
	regs   asks
	sets   []registerSet // by CPU
	behind *reader
}

// newAll prepares the flow; that what it reads was foreseen is for the caller to note.
func (c *Client) newAll() *all {
	f := &all{behind: c.newReader(c.foresight.want), sets: make([]registerSet, len(c.threads))}
	f.behind.foreseen = c.foresight.sure
	for i := range f.sets {
		if len(f.sets) > 1 {
			f.regs.list = append(f.regs.list, ask{text: "Hg" + c.threads[i].String()})
		}
		f.sets[i].g = len(f.regs.list)
		f.regs.list = append(f.regs.list, ask{text: "g"})
		f.sets[i].single = c.appendSingles(&f.regs, general)
	}
	return f
}

func (f *all) next(cl *call, p []byte) ([]byte, int, bool) {
	if f.regs.sent < len(f.regs.list) {
		return f.regs.next(cl, p)
	}
	return f.behind.next(cl, p)
}

func (f *all) done(cl *call) error {
	if f.regs.got < len(f.regs.list) {
		return f.regs.done(cl)
	}
	return f.behind.done(cl)
}

func general(s *regSlot) bool { return s.dwarf != arch.None }

// registerSet is where the answers for one processor are: that to g, and behind it
// those for registers g does not have.
type registerSet struct {
	g      int
	single []*regSlot
}

func (c *Client) registerSet(list []ask, cpu target.CPU, at registerSet) (target.Regs, error) {
	if at.g > 0 && len(c.threads) > 1 {
		if err := c.chosen(cpu, list[at.g-1].text, list[at.g-1]); err != nil {
			return target.Regs{}, err
		}
	}
	if err := list[at.g].call.refused("g"); err != nil {
		return target.Regs{}, err
	}
	regs := target.NewRegs(c.arch)
	set := func(s *regSlot, v []byte) {
		if len(v) <= 8 {
			var b [8]byte
			copy(b[:], v)
			regs.Set(s.dwarf, binary.LittleEndian.Uint64(b[:]))
		}
	}
	buf := make([]byte, 0, 32)
	raw := list[at.g].call.raw
	for j := range c.layout.slots {
		s := &c.layout.slots[j]
		if end := s.off + s.size(); general(s) && !s.unknown && 2*end <= len(raw) {
			buf = emit(s, raw[2*s.off:2*end], buf, set)
		}
	}
	for j, s := range at.single {
		if q := list[at.g+1+j]; q.call.refused(q.text) == nil && len(q.call.raw) == 2*s.size() {
			buf = emit(s, q.call.raw, buf, set)
		}
	}
	return regs, nil
}
