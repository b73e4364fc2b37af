package gdbstub

import (
	"context"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// ahead is what is asked in the same write as a request to stop, and so without
// waiting for the stop: the registers of all processors, and what is foreseen to be
// read behind them.
//
// QEMU stops its guest while it takes the byte that asks for it, and answers what
// follows when it stands. So a stop takes one way there and back less. Nothing that
// changes the guest may be among it, and an order to run only in a glimpse, where it
// will be known whose stop it ended.
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
	// An acknowledgement that is still to come would be taken for one of what is asked.
	if c.err != nil || !c.run.running || !c.run.taken || !c.run.interrupted.IsZero() || c.ack || c.sync.active || len(c.pending) > 0 {
		c.mu.Unlock()
		return c.Interrupt(ctx)
	}
	c.ahead.calls.wide = c.foresight.steady()
	out := c.requests(f, &c.ahead.calls, append(c.wbuf[:0], claiming))
	c.run.claim = claimOpen
	if c.run.glimpse = c.mayGlimpse(f); c.run.glimpse {
		out = append(out, c.runOrder()...)
	}
	c.ahead.flow, c.ahead.epoch = f, c.run.epoch+1
	c.askStop(time.Now())
	c.wbuf = out
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

// stoodAhead settles whose stop e is. A glimpse is told with how long it was.
func (c *Client) stoodAhead(ctx context.Context, e target.Event) (target.Event, error) {
	if e.Kind != target.EventStopped {
		return e, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.run.claim == claimOpen {
		if err := c.waitLocked(ctx); err != nil {
			return e, err
		}
	}
	if c.run.claim == claimLost && e.Stop.Reason == target.StopInterrupt {
		e.Stop.Reason = target.StopForeign
	}
	c.run.claim = claimNone
	if c.run.undone {
		return e, c.standAgain(ctx)
	}
	if c.cap.glimpsed {
		e.Paused = c.run.stop
	}
	return e, nil
}
