package gdbstub

import (
	"context"

	"github.com/ukdbg/ukdbg/target"
)

// A stub without Z0 knows nothing of our patched breakpoints: the stop looks
// like any trap of the guest's, and on x86 the pc is behind the instruction.
// So such a stop is told only after the pc was looked at and put right.

// enter takes the lock every public method holds. The caller unlocks op.
func (c *Client) enter(ctx context.Context) error {
	if err := c.enterAhead(ctx); err != nil {
		return err
	}
	c.dropAhead()
	return nil
}

// enterAhead is enter for who wants what was asked ahead.
func (c *Client) enterAhead(ctx context.Context) error {
	c.op.Lock()
	if c.farewell != nil {
		c.op.Unlock()
		return ErrLeft
	}
	c.mu.Lock()
	epoch := c.run.epoch
	c.mu.Unlock()
	if epoch != c.epoch {
		// A stub selects the processor that stopped.
		c.epoch, c.selected = epoch, -1
	}
	c.foresight.turnOver()
	c.settle(ctx)
	return nil
}

// settleSoon settles a stop while the owner does something else.
func (c *Client) settleSoon() {
	c.op.Lock()
	defer c.op.Unlock()
	c.settle(context.Background())
}

// settle finishes and tells a stop that waits for it.
func (c *Client) settle(ctx context.Context) {
	c.mu.Lock()
	stop := c.run.unsettled
	c.run.unsettled = nil
	c.mu.Unlock()
	if stop == nil {
		return
	}
	// A pc left behind a breakpoint would run into the middle of an
	// instruction, so this is not for the caller to cancel.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.opt.ReplyTimeout)
	defer cancel()
	c.selected = -1
	e := target.Event{Kind: target.EventStopped}
	if at, err := c.adjustPC(ctx, stop.CPU); err != nil {
		e.Err = err // the stop is told all the same
	} else if at {
		stop.Reason = target.StopBreakpoint
	} else if stop.Reason == target.StopBreakpoint {
		stop.Reason = target.StopSignal // a trap of the guest's own
	}
	e.Stop = *stop
	c.event(e)
}

// adjustPC reports whether cpu stopped at a patched breakpoint, and sets its pc
// to the breakpoint's address if it is behind.
func (c *Client) adjustPC(ctx context.Context, cpu target.CPU) (bool, error) {
	patched := false
	for i := range c.breaks {
		patched = patched || c.breaks[i].patched
	}
	if !patched {
		return false, nil
	}
	regs, err := c.readRegisters(ctx, cpu)
	if err != nil {
		return false, err
	}
	pc, ok := regs.Get(c.arch.PC)
	if !ok {
		return false, nil
	}
	at := pc - c.arch.BreakpointAdvance
	for i := range c.breaks {
		if b := &c.breaks[i]; b.patched && b.Addr == at {
			if at == pc {
				return true, nil
			}
			return true, c.writeRegister(ctx, cpu, c.arch.PC, at)
		}
	}
	return false, nil
}
