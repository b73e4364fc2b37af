package gdbstub

import (
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// Lease is whoever stands by to let the guest run if this process does not: a
// process that holds the same link. Its methods are quick and never block.
type Lease interface {
	// Ask begins the time of a stop that was asked for at that moment.
	Ask(at time.Time)
	// Stopped: the guest stands for us; order makes it run, nil if one packet
	// cannot. false: it was let run already.
	Stopped(order []byte) bool
	// Begin precedes every write to the guest that stands and End follows it, with
	// what Begin returned; Over takes its place after an order to run. If ok is false
	// the guest was let run, and nothing may be written.
	Begin() (stop uint32, ok bool)
	End(stop uint32)
	// Ended is for how long ago the guest has been let run, after Stopped or Begin
	// said so.
	Ended() time.Duration
	// Over: the guest runs, or its stop is not ours.
	Over()
}

// capUse is the part of Options.MaxPause after which a stop is ended. The rest is
// for the order's way, for the requests that are before it in the stub's queue,
// and for the VMM to obey.
const capUse = 0.6

// pauseCap ends stops that last too long; Client.mu guards it.
//
// A timer writes the order to run behind the requests that are in flight, whoever
// may be waiting for them: a stub answers in order, so that they are answered and
// nothing is torn. What would have been sent after them fails with
// target.ErrLapsed.
type pauseCap struct {
	timer *time.Timer
	asked time.Time // when the present stop was asked for
	// overdue: the time was over before the stop was told.
	overdue bool
	// lapsed: the guest runs because its stop was ended, and nobody has been told.
	lapsed bool
	// glimpsed: that stop was to end like that.
	glimpsed bool
}

func (c *Client) capTime() time.Duration {
	return time.Duration(capUse * float64(c.opt.MaxPause))
}

// ask begins the time of a stop; mu is held.
func (c *Client) ask(at time.Time) {
	if c.opt.Lease != nil {
		c.opt.Lease.Ask(at)
	}
	if c.opt.MaxPause <= 0 {
		return
	}
	c.cap.asked, c.cap.lapsed, c.cap.overdue = at, false, false
	left := c.capTime() - time.Since(at)
	if c.cap.timer == nil {
		c.cap.timer = time.AfterFunc(left, c.expire)
	} else {
		c.cap.timer.Reset(left)
	}
}

// expire ends the present stop if its time is over.
func (c *Client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil, time.Since(c.cap.asked) < c.capTime():
	case c.run.running:
		// It is let run by whoever hears that it stopped.
		c.cap.overdue = !c.run.interrupted.IsZero()
	case !c.run.stoppedSince.IsZero():
		c.letGo()
	}
}

// capStopped takes note that the guest stands as it was asked to; mu is held.
func (c *Client) capStopped() {
	switch {
	case c.opt.Lease != nil && !c.opt.Lease.Stopped(c.runOrder()):
		c.letRun()
	case c.opt.MaxPause > 0 && c.cap.overdue:
		c.letGo()
	}
}

// runOrder is the packet that lets every processor run, nil if it takes more than
// one; mu is held.
func (c *Client) runOrder() []byte {
	switch {
	case c.prof.vCont:
		return packet.AppendString(nil, "vCont;c")
	case len(c.run.threads) <= 1:
		return packet.AppendString(nil, "c")
	}
	return nil
}

// letGo ends the stop; mu is held.
func (c *Client) letGo() {
	order := c.runOrder()
	if order == nil {
		return
	}
	if _, ok := c.begin(); !ok {
		return
	}
	c.stats.Lapsed++
	c.goesOn(time.Now())
	if c.ack {
		c.lastOut = append(c.lastOut[:0], order...)
	}
	c.reply(order)
	c.over()
}

// begin precedes a write; false: the guest was let run. mu is held.
func (c *Client) begin() (stop uint32, ok bool) {
	if c.opt.Lease == nil {
		return 0, true
	}
	if stop, ok = c.opt.Lease.Begin(); !ok {
		c.letRun()
	}
	return stop, ok
}

// letRun: whoever stands by has let the guest run; mu is held.
func (c *Client) letRun() {
	c.stats.Lapsed++
	c.goesOn(time.Now().Add(-c.opt.Lease.Ended()))
	c.over()
}

func (c *Client) end(stop uint32) {
	if c.opt.Lease != nil {
		c.opt.Lease.End(stop)
	}
}

// over: the guest runs, or its stop is none of ours.
func (c *Client) over() {
	if c.opt.Lease != nil {
		c.opt.Lease.Over()
	}
}

// goesOn notes that the guest is let run since at though nobody asked for it now; mu
// is held.
func (c *Client) goesOn(at time.Time) {
	c.run.running, c.run.taken = true, false
	c.run.interrupted = time.Time{}
	c.run.actions = append(c.run.actions[:0], target.Action{CPU: target.AllCPUs})
	c.run.hits.ran(c.run.actions, len(c.run.threads))
	c.account(at)
	c.stats.Resumes++
	c.cap.lapsed = true
	c.journalResume()
	c.signal()
}

// resumed reports whether an order to run has been given by the cap already.
func (c *Client) resumed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.run.running || !c.cap.lapsed {
		return false
	}
	c.cap.lapsed, c.cap.glimpsed = false, false
	return true
}

// wasLapsed reports whether the guest runs because its stop was ended.
func (c *Client) wasLapsed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.running && c.cap.lapsed
}

// lapseTries bounds how often what a cap cut short is begun again.
const lapseTries = 32

// steadily runs f again, in another stop, as long as the cap cuts it short. The
// events of these stops are nobody's.
func (c *Client) steadily(f func() error, stop func() error) error {
	for try := 1; ; try++ {
		err := f()
		if !errors.Is(err, target.ErrLapsed) {
			return err
		}
		if try == lapseTries {
			return fmt.Errorf("%w %d times, each before all was read: allow a longer stop", err, try)
		}
		if err := stop(); err != nil {
			return err
		}
	}
}
