package gdbstub

import (
	"context"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// A glimpse is a stop that ends by itself: the order to run is in the same write as the
// request to stop and all that is asked of the guest. The guest stands for no longer
// than QEMU takes to answer: at 99 stops a second about half as long as in a stop that is
// ended when its answers are here. Nobody's death can leave it stopped. QEMU takes the
// write in one turn of its main loop; what it does for others within its own stop, such
// as an operator's order to stop, is all that can come in between.
//
// What is asked must be foreseen. Where the last stops were not as foreseen the next are
// ordinary ones, and what a glimpse did not bring fails with target.ErrLapsed.
//
// A guest that somebody else stopped while the write was on its way is let run by it.
// When the answers come that is known, by the stop reply and by claim, and the guest is
// stopped again.

const (
	// steadyStops is how many stops in a row must have been as foreseen before the
	// first glimpse. With each that brought too little they become twice as many, up
	// to mostSteady, and with steadyGlimpses good ones in a row half.
	steadyStops    = 4
	mostSteady     = 256
	steadyGlimpses = 64
)

// mayGlimpse reports whether all of f is on its way and likely all that will be asked;
// mu is held.
func (c *Client) mayGlimpse(f *all) bool {
	return c.events.isHeld() && c.run.leaveRunning && len(c.breaks) == 0 && c.runOrder() != nil &&
		f.regs.sent == len(f.regs.list) && f.behind.asked() && c.foresight.steady()
}

// glimpsed notes that the order to run was sent behind the stop just told; ours says
// whether that is the stop asked for. mu is held.
func (c *Client) glimpsed(ours bool) {
	c.run.undone = !ours
	c.run.told = time.Time{} // between which and the order lies nothing
	if usual := c.usualStop(); time.Since(c.run.stoppedSince) > usual && !c.run.stoppedSince.IsZero() {
		c.run.stoppedSince = time.Now().Add(-usual)
	}
	c.goesOn(time.Now())
	c.cap.glimpsed = true
	c.over()
}

// usualStop is for how long the guest stood in the last ordinary stops, from when each
// was told to the order to run. That is taken for the length of a glimpse, which waits
// for nobody: when it began and ended is not seen. mu is held.
func (c *Client) usualStop() (mean time.Duration) {
	for _, d := range c.run.held {
		mean += d / steadyStops
	}
	return mean
}

// standPatience is how long a guest may take to stop again.
const standPatience = time.Second

// standAgain stops a guest that somebody else had stopped and a glimpse let run. mu is
// held.
func (c *Client) standAgain(ctx context.Context) error {
	c.run.undone = false
	for len(c.pending) > 0 {
		if err := c.waitLocked(ctx); err != nil {
			return err
		}
	}
	c.cap.lapsed, c.cap.glimpsed = false, false
	c.journal(journal.Stopped{LeaveRunning: c.run.leaveRunning})
	c.run.untold = true
	c.run.interrupted = time.Now()
	defer func() { c.run.untold = false }()
	if err := c.write(c.prof.interrupt); err != nil {
		return err
	}
	for began := time.Now(); c.run.running && time.Since(began) < standPatience; {
		if err := c.waitForStop(ctx); err != nil {
			return err
		}
	}
	if c.run.running {
		c.halt(time.Now(), false) // it did not obey the order to run
	}
	c.run.foreign, c.run.stoppedSince = true, time.Time{}
	c.over()
	return nil
}

// waitForStop waits a moment for what the stub says; mu is held.
func (c *Client) waitForStop(ctx context.Context) error {
	if c.err != nil {
		return c.err
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	return c.readFor(ctx, glance)
}
