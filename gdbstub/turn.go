package gdbstub

import (
	"context"
	"time"
)

// direct is a link whose input whoever wants it can wait for and take itself.
//
// A reply that a goroutine of its own reads costs a wake-up more, which is more
// than the stub's own work. So the owner of an exchange reads where the link
// allows it, and the reading goroutine only while nobody asks anything: then what
// comes, comes by itself.
type direct interface {
	// await returns when there is something to take, or may be, and after d. For
	// ever, d below 0, waits only the reading goroutine.
	await(d time.Duration) error
	// receive takes what is there, 0 bytes if nothing is.
	receive(p []byte) (int, error)
}

const (
	// glance is how long the owner of an exchange looks at nothing but the link.
	glance = 5 * time.Millisecond
	// turnGrace is how soon after the last exchange the reading goroutine goes on,
	// at most twice as much. The guest's going on ends it at once.
	turnGrace = 3 * time.Millisecond
)

// turn tells whose turn it is to read a direct link; Client.rmu guards it.
type turn struct {
	owner  bool          // the owner of an exchange reads
	asking bool          // it is at it
	waits  int           // how often it was
	held   bool          // until Sampling ends
	over   chan struct{} // wakes the reading goroutine
}

// readDirect is the goroutine that reads a direct link until it ends.
func (c *Client) readDirect(d direct) {
	defer close(c.ended)
	buf := make([]byte, 64<<10)
	for {
		c.awaitTurn()
		err := d.await(-1)
		c.rmu.Lock()
		if c.turn.owner && err == nil {
			c.rmu.Unlock()
			continue
		}
		if err == nil {
			ran := c.Running()
			err = c.takeIn(d, buf)
			// Whoever hears that the guest stands asks at once: it reads itself, and
			// two that wait for one answer are both woken by it.
			c.turn.owner = ran && !c.Running()
		}
		c.rmu.Unlock()
		if err != nil {
			c.lose(err)
			return
		}
	}
}

// awaitTurn waits until the owner of exchanges has had its turn.
func (c *Client) awaitTurn() {
	for last := -1; ; {
		c.rmu.Lock()
		if c.turn.waits == last && !c.turn.asking && !c.turn.held {
			c.turn.owner = false
		}
		last = c.turn.waits
		owner, held := c.turn.owner, c.turn.held
		c.rmu.Unlock()
		switch {
		case held:
			<-c.turn.over
			continue
		case !owner:
			return
		}
		select {
		case <-c.turn.over:
		case <-time.After(turnGrace):
		}
	}
}

// handBack has the reading goroutine go on.
func (c *Client) handBack() {
	if c.direct == nil {
		return
	}
	c.rmu.Lock()
	was := c.turn.owner || c.turn.held
	c.turn.owner, c.turn.held = false, false
	c.rmu.Unlock()
	if was {
		select {
		case c.turn.over <- struct{}{}:
		default:
		}
	}
}

// handOver has it go on while the guest runs, unless Halt reads.
func (c *Client) handOver() {
	c.rmu.Lock()
	held := c.turn.held
	c.rmu.Unlock()
	if !held {
		c.handBack()
	}
}

// takeIn takes what there is and takes it apart; rmu is held, so that what was
// read first is taken apart first.
func (c *Client) takeIn(d direct, buf []byte) error {
	n, err := d.receive(buf)
	if n > 0 {
		c.mu.Lock()
		c.fed(buf[:n])
		c.mu.Unlock()
	}
	return err
}

// readFor waits until something came, and takes it; at most for d, and a glance.
func (c *Client) readFor(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.rmu.Lock()
	c.turn.owner, c.turn.asking = true, true
	c.turn.waits++
	c.rmu.Unlock()
	err := c.direct.await(min(d, glance))
	c.rmu.Lock()
	c.turn.asking = false
	if err == nil {
		if c.own == nil {
			c.own = make([]byte, 64<<10)
		}
		err = c.takeIn(c.direct, c.own)
	}
	c.rmu.Unlock()
	if err != nil {
		c.lose(err)
	}
	return nil
}
