package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// supported is our first packet. multiprocess is always asked for: QEMU keeps
// the answer beyond the session, so that not asking leaves it to chance.
const supported = "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+;qXfer:features:read+"

// attach makes the connection an attachment.
func (c *Client) attach(ctx context.Context) error {
	c.prof = plainProfile()
	// A caller that gives up is not let go before the first answer: the stub may
	// have stopped the guest for us already, and say so in a moment.
	first, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opt.AttachTimeout)
	defer cancel()
	feats, err := c.hello(first)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.run.greeting = false
	told := c.run.toldRunning
	c.mu.Unlock()
	if c.opt.RanBefore != nil && !told {
		c.ranBefore = c.opt.RanBefore()
	}
	// What follows is an exchange with a stub that answers, be it slowly over
	// a serial line: only silence ends it. The guest is stopped by now, so a
	// caller that gives up is given it back, not left alone with it.
	c.reached = true
	if err := c.learn(context.WithoutCancel(ctx), feats); err != nil {
		return fmt.Errorf("%s: attaching: %w", c.spec, err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: attaching: %w", c.spec, context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached()
	return c.err
}

// hello sends qSupported and waits for the answer.
func (c *Client) hello(ctx context.Context) (features, error) {
	cl := &call{}
	// The '+' is for a stop reply the stub has sent to nobody: a stub in the
	// guest waits for it, and takes '$' for a refusal.
	hi := packet.AppendString([]byte{'+'}, supported)
	c.mu.Lock()
	c.pending = append(c.pending, cl)
	c.mu.Unlock()
	if err := c.write(hi); err != nil {
		c.lose(err)
	}
	// A stub inside a running guest hears nothing but, perhaps, a request to
	// stop.
	poke := time.After(c.opt.AttachTimeout * 2 / 5)
	var again, late <-chan time.Time
	wake := c.wake
	if c.direct != nil {
		// Having read itself, it looks at the clocks, and again.
		wake = make(chan struct{})
		close(wake)
	}
	for {
		c.mu.Lock()
		done, lost, stopped := cl.done, c.err, c.run.hasStop
		if done {
			c.greeted = append(c.greeted, cl.raw...)
		}
		c.mu.Unlock()
		switch {
		case lost != nil:
			return features{}, c.notStub(lost)
		case done && cl.refused(supported) != nil:
			return features{}, nil // a stub without qSupported
		case done:
			return parseFeatures(cl.raw), nil
		case c.poked && stopped && again == nil:
			// It stopped; if qSupported got lost on the way, say it again.
			again = time.After(100 * time.Millisecond)
		}
		if c.direct != nil {
			// An ended ctx is seen to below.
			_ = c.readFor(context.Background(), glance)
		}
		select {
		case <-wake:
		case <-poke:
			if c.mayBeInGuest() {
				c.poked = true
				if err := c.write([]byte{packet.Interrupt}); err != nil {
					c.lose(err)
				}
			}
		case <-again:
			if err := c.write(packet.AppendString(nil, supported)); err != nil {
				c.lose(err)
			}
		case <-ctx.Done():
			if late == nil && c.heardAny() {
				// It is about to answer, and stopped the guest already.
				late = time.After(lastWord)
				ctx = context.WithoutCancel(ctx)
				continue
			}
			return features{}, c.noAnswer(ctx)
		case <-late:
			return features{}, c.noAnswer(ctx)
		}
	}
}

// lastWord is how long a stub that has begun to speak may go on, once its
// answer is not wanted any more.
const lastWord = 200 * time.Millisecond

func (c *Client) heardAny() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats.BytesIn > 0
}

// mayBeInGuest reports whether the other end may be a stub in a running guest:
// it is no stub that has not taken our connection yet.
func (c *Client) mayBeInGuest() bool {
	return peers(c.spec).queued == 0
}

// notStub explains a link that ended before the first answer.
func (c *Client) notStub(lost error) error {
	if n := c.noiseText(); n != "" {
		return fmt.Errorf("%s: %w: it said %s and closed the connection", c.spec, ErrNotStub, n)
	}
	return fmt.Errorf("%s: %w: it closed the connection without an answer (%w)", c.spec, ErrNotStub, lost)
}

// noAnswer explains why the first answer did not come in time.
func (c *Client) noAnswer(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%s: %w", c.spec, cause)
	}
	const inGuest = "if it is a stub inside the guest, it answers only at a trap or its boot wait: boot the guest so that it waits (debug.gdbwait), or attach when it has trapped"
	waited := c.opt.AttachTimeout
	if n := c.noiseText(); n != "" {
		return fmt.Errorf("%s: %w: it said %s; or %s", c.spec, ErrNotStub, n, inGuest)
	}
	if c.spec.Scheme == target.Serial || c.spec.Scheme == target.Exec {
		return fmt.Errorf("%s: %w, %w within %v: %s, or another debugger is attached, or the line speed is wrong",
			c.spec, ErrNotStub, ErrSilent, waited, inGuest)
	}
	switch p := peers(c.spec); {
	case p.queued > 0:
		return fmt.Errorf("%s: %w: the stub has not taken the connection within %v; end the other session or wait for it",
			c.spec, ErrBusy, waited)
	case p.served > 0:
		return fmt.Errorf("%s: %w, %w within %v, though it took the connection: %s, or it is something else",
			c.spec, ErrNotStub, ErrSilent, waited, inGuest)
	}
	return fmt.Errorf("%s: %w (%w within %v); or %s; or it is no stub", c.spec, ErrBusy, ErrSilent, waited, inGuest)
}

func (c *Client) noiseText() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.run.noise
	if len(n) == 0 {
		return ""
	}
	return strconv.Quote(string(n[:min(len(n), 60)]))
}

// attached ends the attachment, once; mu is held.
func (c *Client) attached() {
	if !c.run.attaching {
		return
	}
	c.run.attaching = false
	if len(c.run.noise) > 0 {
		c.event(target.Event{Kind: target.EventOutput, Text: c.run.noise})
		c.run.noise = nil
	}
	c.run.epoch++
	c.listed = c.run.epoch
	if c.run.found != RunPaused {
		c.stopClock(c.began)
		c.stats.Stops++
		if c.opt.MaxPause > 0 {
			c.ask(c.began)
		}
		c.capStopped()
	}
}

// InitialStop tells where Dial found the guest: the processor and, if the guest
// did not run, the reason the stub gave.
func (c *Client) InitialStop() target.Stop {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := target.Stop{CPU: c.cpuOf(c.run.initial), Signal: c.run.initial.signal, WatchAddr: c.run.initial.addr}
	if c.run.found == RunRunning {
		s.Reason = target.StopInterrupt
	}
	return s
}

func (c *Client) initialSignal() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.initial.signal
}

func (c *Client) setAck(on bool) {
	c.mu.Lock()
	c.ack = on
	c.mu.Unlock()
}

func (c *Client) setProfile(p profile) {
	c.mu.Lock()
	c.prof = p
	c.mu.Unlock()
}
