package gdbstub

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// resync finds out, after something unforeseen, which requests the stub will
// still answer. A question whose answer cannot be mistaken is sent behind
// those in flight: once its answer is here, nothing older comes any more.
//
// Two things bring it about. Somebody resumed the guest through another door
// (QMP cont): QEMU then stops at the first byte of our next packet and throws
// that packet away. Or no answer came for too long.
type resync struct {
	active  bool
	due     int       // replies awaited when it began
	seen    int       // replies that came since
	stop    stopReply // what brought it about
	stopped bool      // stop is set
	// held are the calls in flight that fail when it is known why.
	held []*call
}

// startResync holds what is in flight, which is answered to nobody any more, and sends
// the question; mu is held.
func (c *Client) startResync() {
	c.sync = resync{active: true, due: len(c.pending), stop: c.sync.stop, stopped: c.sync.stopped}
	c.sync.held = append(c.sync.held, c.pending...)
	c.pending = c.pending[:0]
	if c.sync.stopped {
		c.failHeld(ErrMoved)
	}
	c.lastRx = time.Now()
	c.reply(packet.AppendString(nil, c.prof.question))
	c.signal()
}

// failHeld finishes the calls that were held; mu is held.
func (c *Client) failHeld(err error) {
	for _, cl := range c.sync.held {
		cl.err, cl.done, cl.dst = err, true, nil
	}
	c.sync.held = nil
}

// resyncReply takes a packet while the question's answer is awaited.
func (c *Client) resyncReply(p []byte) {
	if !bytes.HasPrefix(p, []byte(c.prof.answer)) {
		c.sync.seen++
		return
	}
	s := c.sync
	swallowed := s.seen < s.due
	if swallowed || s.stopped {
		c.failHeld(ErrMoved)
	} else {
		c.failHeld(fmt.Errorf("%s: %w for %v, and then too late", c.spec, ErrSilent, c.opt.ReplyTimeout))
	}
	c.sync = resync{}
	if swallowed || s.stopped {
		c.foreignRun(s.stop, swallowed)
	}
	c.signal()
}

// silent acts when no byte came for ReplyTimeout though an answer is due.
func (c *Client) silent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil || time.Since(c.lastRx) < c.opt.ReplyTimeout:
	case c.ack && c.retransmit():
	case !c.ack && !c.sync.active && c.prof.question != "":
		c.startResync()
	default:
		c.err = fmt.Errorf("%s: %w: no answer for %v", c.spec, target.ErrLost, c.opt.ReplyTimeout)
		c.failPending(c.err)
		if !c.run.attaching && !c.run.leaving {
			c.event(target.Event{Kind: target.EventLost, Err: c.err})
		}
		c.signal()
	}
}
