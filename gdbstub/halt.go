package gdbstub

import (
	"context"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Sampling says that the guest will be stopped again and again by Halt, until it is
// called with false: what the link says is then read, and events are taken, by who
// calls Halt. Goroutines of their own would have to be woken for that while the guest
// stands. Nobody else may take Events meanwhile.
func (c *Client) Sampling(on bool) {
	if on && (c.direct == nil || c.prof.patches) {
		return // Halt does without
	}
	if on {
		c.op.Lock()
		c.foresight.unforeseen() // the first stops are ordinary ones
		c.op.Unlock()
	}
	c.rmu.Lock()
	if c.turn.held = on; on {
		c.turn.owner = true // what comes first is not the reading goroutine's either
	}
	c.rmu.Unlock()
	c.events.hold(on)
	if on {
		c.Rest(context.Background()) // it may have been let run just now
	} else {
		c.handBack()
	}
}

// restTime bounds the wait for an order to run to be acknowledged.
const restTime = 5 * time.Millisecond

// Rest is for who samples, between two stops: it takes QEMU's word that the guest runs
// again when that comes. Nobody else reads the link then, and with the next stop the
// journal would have it too late, and the account of the stop too long.
func (c *Client) Rest(ctx context.Context) {
	if !c.prof.qemu || !c.events.isHeld() {
		return
	}
	for began := time.Now(); time.Since(began) < restTime; {
		c.mu.Lock()
		over := c.err != nil || !c.run.running || c.run.taken
		c.mu.Unlock()
		if over || c.readFor(ctx, restTime) != nil {
			return
		}
	}
}

// maxHeard bounds how often what came is taken before a stop is asked for: a stub that
// goes on talking is asked all the same.
const maxHeard = 64

// hear takes what has come while nobody read.
func (c *Client) hear(ctx context.Context) {
	for range maxHeard {
		before := c.Stats().BytesIn
		if c.readFor(ctx, 0) != nil || c.Stats().BytesIn == before {
			return
		}
	}
}

// Halt asks the guest to stop and returns the next event but output: its stop, or
// what happened before. A stop that somebody else made meanwhile is told as theirs.
func (c *Client) Halt(ctx context.Context) (target.Event, error) {
	ask := c.Interrupt
	if c.events.isHeld() {
		// A stop told before ours is asked for is not ours.
		c.hear(ctx)
		ask = c.haltAhead
	}
	if c.Running() {
		if err := ask(ctx); err != nil {
			return target.Event{}, err
		}
	}
	for c.events.isHeld() {
		// What was on its way before comes first.
		select {
		case e, ok := <-c.events.out:
			if ok && e.Kind != target.EventOutput {
				return c.stoodAhead(ctx, e)
			}
			continue
		default:
		}
		if e, ok, _ := c.events.take(); ok {
			if e.Kind != target.EventOutput {
				return c.stoodAhead(ctx, e)
			}
			continue
		}
		c.mu.Lock()
		err := c.err
		c.mu.Unlock()
		if err != nil {
			return target.Event{}, err
		}
		if err := c.readFor(ctx, glance); err != nil {
			return target.Event{}, err
		}
	}
	for {
		select {
		case e, ok := <-c.events.out:
			switch {
			case !ok:
				return target.Event{Kind: target.EventLost, Time: time.Now(), Err: target.ErrLost}, nil
			case e.Kind != target.EventOutput:
				return e, nil
			}
		case <-ctx.Done():
			return target.Event{}, context.Cause(ctx)
		}
	}
}
