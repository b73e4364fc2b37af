package gdbstub

import (
	"context"
	"time"
)

// ahead is what is asked in the same write as a request to stop, and so without
// waiting for the stop: the registers of all processors, and what is foreseen to be
// read behind them.
//
// QEMU stops its guest while it takes the byte that asks for it, and answers what
// follows when it stands. So a stop takes one way there and back less. Only what
// changes nothing may be asked: if the guest stands for a reason of its own by then,
// that stop is somebody else's. For the same reason the order to run is never among
// it: it is given when it is known whose stop it is.
type ahead struct {
	flow  *all // nil: nothing was asked
	calls window
	epoch uint64 // of the stop it was asked for
	// used is the stop whose registers were read by ReadAllRegisters.
	used uint64
}

// haltAhead asks the guest to stop, and for the registers, if in the last stop they
// were read.
func (c *Client) haltAhead(ctx context.Context) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if !c.prof.qemu || c.layout.inG == 0 || c.arch == nil || c.ahead.used != c.epoch {
		return c.Interrupt(ctx)
	}
	f := c.newAll()
	c.mu.Lock()
	if c.err != nil || !c.run.running || !c.run.interrupted.IsZero() || c.ack || c.sync.active || len(c.pending) > 0 {
		c.mu.Unlock()
		return c.Interrupt(ctx)
	}
	c.askStop(time.Now())
	c.ahead.flow, c.ahead.epoch = f, c.run.epoch+1
	c.wbuf = c.requests(f, &c.ahead.calls, append(c.wbuf[:0], c.prof.interrupt...))
	out := c.wbuf
	c.mu.Unlock()
	return c.sendStop(out)
}

// askedAhead is what was asked ahead of this stop, else a flow that asks it now.
func (c *Client) askedAhead() *all {
	c.ahead.used = c.epoch
	if c.ahead.flow != nil && c.ahead.epoch != c.epoch {
		c.dropAhead()
	}
	if c.ahead.flow == nil {
		c.ahead.flow = c.newAll()
	}
	return c.ahead.flow
}

// dropAhead leaves what was asked ahead to nobody.
func (c *Client) dropAhead() {
	if c.ahead.flow == nil {
		return
	}
	c.mu.Lock()
	c.ahead.calls.abandon()
	c.mu.Unlock()
	c.ahead.flow = nil
}
