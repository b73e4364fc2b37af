package gdbstub

import (
	"context"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// ReadAllRegisters reads the general registers of every processor, with the
// requests for all of them in flight together. It is what a stop as short as
// possible wants: one processor after the other costs a round trip each.
func (c *Client) ReadAllRegisters(ctx context.Context) ([]target.Regs, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.op.Unlock()
	out := make([]target.Regs, len(c.threads))
	if len(out) == 1 || c.layout.inG == 0 || c.arch == nil {
		// The first g of a stub shows how far it goes.
		for i := range out {
			var err error
			if out[i], err = c.readRegisters(ctx, target.CPU(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	general := func(s *regSlot) bool { return s.dwarf != arch.None }
	var a asks
	var at []int // of each processor's g
	var single []*regSlot
	for i := range out {
		a.list = append(a.list, ask{text: "Hg" + c.threads[i].String()})
		at = append(at, len(a.list))
		a.list = append(a.list, ask{text: "g"})
		single = c.appendSingles(&a, general)
	}
	c.selected = -1 // until all is well
	if err := c.exchange(ctx, &a); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 32)
	for i, g := range at {
		if err := c.chosen(target.CPU(i), a.list[g-1].text, a.list[g-1]); err != nil {
			return nil, err
		}
		if err := a.list[g].call.refused("g"); err != nil {
			return nil, err
		}
		regs := target.NewRegs(c.arch)
		set := func(s *regSlot, v []byte) {
			if len(v) <= 8 {
				var b [8]byte
				copy(b[:], v)
				regs.Set(s.dwarf, binary.LittleEndian.Uint64(b[:]))
			}
		}
		raw := a.list[g].call.raw
		for j := range c.layout.slots {
			s := &c.layout.slots[j]
			if end := s.off + s.size(); general(s) && !s.unknown && 2*end <= len(raw) {
				buf = emit(s, raw[2*s.off:2*end], buf, set)
			}
		}
		for j, s := range single {
			if q := a.list[g+1+j]; q.call.refused(q.text) == nil && len(q.call.raw) == 2*s.size() {
				buf = emit(s, q.call.raw, buf, set)
			}
		}
		out[i] = regs
	}
	return out, nil
}
