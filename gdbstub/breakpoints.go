package gdbstub

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// inserted is a breakpoint that is in the guest now.
type inserted struct {
	target.Breakpoint
	// patched: it is an instruction we wrote over the text. Else the stub has
	// it, which under KVM is a patch of the stub's.
	patched bool
	// orig is what memory holds without it, nil if that could not be read or
	// the breakpoint is none of software.
	orig []byte
	// unsure: it was asked for or asked out, and the answer was not waited for.
	unsure bool
}

// overlaps reports whether the breakpoint hides some of n bytes at addr.
func (b *inserted) overlaps(addr uint64, n int) bool {
	size := uint64(len(b.orig))
	return size > 0 && n > 0 && b.Addr <= addr+uint64(n-1) && addr <= b.Addr+size-1
}

// mask puts what breakpoints hide back into what was read at addr: wherever
// the bytes read are those of the breakpoint instruction.
func (c *Client) mask(p []byte, addr uint64) {
	for i := range c.breaks {
		b := &c.breaks[i]
		if !b.overlaps(addr, len(p)) {
			continue
		}
		// The part of the breakpoint that lies in p.
		from, to := uint64(0), uint64(len(b.orig))
		if addr > b.Addr {
			from = addr - b.Addr
		}
		if end := b.Addr + to - 1; addr+uint64(len(p)-1) < end {
			to -= end - (addr + uint64(len(p)-1))
		}
		part := p[b.Addr+from-addr:][:to-from]
		if string(part) == string(c.arch.Breakpoint[from:to]) {
			copy(part, b.orig[from:to])
		}
	}
}

// Insert puts a breakpoint into the stopped guest. One that is there already
// stays.
func (c *Client) Insert(ctx context.Context, b target.Breakpoint) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if err := c.mayChange(); err != nil {
		return err
	}
	return c.insert(ctx, b)
}

// Remove takes a breakpoint out of the stopped guest. One that is not there is
// no error.
func (c *Client) Remove(ctx context.Context, b target.Breakpoint) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	return c.remove(ctx, b)
}

func (c *Client) insert(ctx context.Context, b target.Breakpoint) error {
	b, err := c.normal(b)
	if err != nil {
		return err
	}
	if i := c.indexOf(b); i >= 0 {
		if !c.breaks[i].unsure {
			return nil
		}
		// Twice in it would have to be taken out twice.
		if err := c.remove(ctx, b); err != nil {
			return err
		}
	}
	in := inserted{Breakpoint: b, unsure: true}
	if b.Kind == target.BreakSoftware {
		// Read before it is inserted: afterwards it may be what is read.
		orig := make([]byte, len(c.arch.Breakpoint))
		r := [1]target.Range{{Addr: b.Addr, Data: orig}}
		if err := c.readRanges(ctx, r[:]); err != nil {
			return err
		}
		c.mask(orig[:r[0].N], b.Addr)
		if r[0].N == len(orig) {
			in.orig = orig
		}
	}
	if b.Kind == target.BreakSoftware && c.prof.patches {
		in.patched = true
	} else {
		text := zPacket('Z', b)
		if err := c.opt.Journal.Append(journal.Insert{Break: in.journaled()}); err != nil {
			return err
		}
		// From before it is sent: whoever stops waiting leaves it behind.
		c.note(in)
		_, err := c.request(ctx, text)
		var no *StubError
		if errors.As(err, &no) {
			c.forget(b) // the stub did not take it
		}
		switch {
		case errors.Is(err, target.ErrUnsupported) && b.Kind == target.BreakSoftware:
			c.setPatches()
			in.patched = true
		case err != nil:
			return fmt.Errorf("inserting a %s at %#x: %w", kindName(b.Kind), b.Addr, err)
		}
	}
	if in.patched {
		if in.orig == nil {
			return fmt.Errorf("inserting a breakpoint: %w", &target.FaultError{Addr: b.Addr, Why: "no text there to patch"})
		}
		if err := c.opt.Journal.Append(journal.Insert{Break: in.journaled()}); err != nil {
			return err
		}
		c.note(in)
		if err := c.writeRaw(ctx, c.arch.Breakpoint, b.Addr); err != nil {
			return fmt.Errorf("patching a breakpoint at %#x: %w", b.Addr, err)
		}
	}
	c.breaks[c.indexOf(b)].unsure = false
	return nil
}

// note and forget keep the list of what is in the guest.
func (c *Client) note(in inserted) {
	c.breaks = append(c.breaks, in)
	c.countBreaks()
}

func (c *Client) forget(b target.Breakpoint) {
	i := c.indexOf(b)
	c.journal(journal.Remove{Break: c.breaks[i].journaled()})
	c.breaks = append(c.breaks[:i], c.breaks[i+1:]...)
	c.countBreaks()
}

func (c *Client) remove(ctx context.Context, b target.Breakpoint) error {
	b, err := c.normal(b)
	if err != nil {
		return err
	}
	i := c.indexOf(b)
	if i < 0 {
		return nil
	}
	if in := c.breaks[i]; in.patched {
		err = c.unpatch(ctx, in)
	} else {
		if in.Kind.IsWatch() {
			c.tellHits(ctx)
		}
		c.breaks[i].unsure = true
		_, err = c.request(ctx, zPacket('z', b))
		var no *StubError
		if errors.As(err, &no) {
			c.breaks[i].unsure = false
			if in.unsure {
				err = nil // it was not there, or not any more
			}
		}
	}
	if err != nil {
		return fmt.Errorf("removing the %s at %#x: %w", kindName(b.Kind), b.Addr, err)
	}
	c.forget(b)
	return nil
}

// unpatch writes the text back, unless the guest has put something else there.
func (c *Client) unpatch(ctx context.Context, in inserted) error {
	now := make([]byte, len(in.orig))
	r := [1]target.Range{{Addr: in.Addr, Data: now}}
	if err := c.readRanges(ctx, r[:]); err != nil {
		return err
	}
	if string(now) != string(c.arch.Breakpoint) {
		return nil
	}
	return c.writeRaw(ctx, in.orig, in.Addr)
}

// normal checks b and fills in its length.
func (c *Client) normal(b target.Breakpoint) (target.Breakpoint, error) {
	switch b.Kind {
	case target.BreakSoftware, target.BreakHardware:
		if c.arch == nil {
			return b, errNoArch
		}
		if b.Len == 0 {
			b.Len = len(c.arch.Breakpoint)
		}
	case target.WatchWrite, target.WatchRead, target.WatchAccess:
		if b.Len <= 0 {
			return b, fmt.Errorf("watchpoint at %#x: its length is %d bytes", b.Addr, b.Len)
		}
	default:
		return b, fmt.Errorf("no breakpoint kind %d", b.Kind)
	}
	return b, nil
}

func (c *Client) indexOf(b target.Breakpoint) int {
	for i := range c.breaks {
		if c.breaks[i].Breakpoint == b {
			return i
		}
	}
	return -1
}

func (c *Client) countBreaks() {
	c.mu.Lock()
	c.run.breakpoints = len(c.breaks)
	watches := 0
	for i := range c.breaks {
		if c.breaks[i].Kind.IsWatch() {
			watches++
		}
	}
	if c.run.hits.watches = watches; watches == 0 {
		c.run.hits.may = c.run.hits.may[:0]
	}
	c.mu.Unlock()
}

func (c *Client) setPatches() {
	c.mu.Lock()
	c.prof.patches = true
	c.mu.Unlock()
}

// zPacket is Z or z: the kinds have the numbers of target.BreakKind.
func zPacket(letter byte, b target.Breakpoint) string {
	p := []byte{letter, '0' + byte(b.Kind), ','}
	p = append(packet.AppendUint(p, b.Addr), ',')
	return string(packet.AppendUint(p, uint64(b.Len)))
}

func kindName(k target.BreakKind) string {
	return [...]string{"breakpoint", "hardware breakpoint", "watchpoint", "read watchpoint", "access watchpoint"}[k]
}
