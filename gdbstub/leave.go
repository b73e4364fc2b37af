package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// leaveTimeout bounds Leave in all.
const leaveTimeout = 5 * time.Second

// Leave takes our breakpoints out of the guest, gives it back its run state and
// ends the connection. It may be called while the guest runs, and again: then
// it returns what it returned the first time. A ctx that has ended already, as
// on the way out after a signal, does not keep it from its work.
func (c *Client) Leave(ctx context.Context) (target.Farewell, error) {
	c.op.Lock()
	defer c.op.Unlock()
	if c.farewell != nil {
		return *c.farewell, nil
	}
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	c.settle(ctx)
	running, notes, err := c.restore(ctx)
	c.mu.Lock()
	if running {
		c.account(time.Now())
	}
	c.mu.Unlock()
	c.over()
	s := c.Stats()
	f := target.Farewell{
		Running: running, Stopped: s.Stopped, Longest: s.Longest, Stops: s.Stops,
		Held: s.Held, Latest: s.Latest, Lapsed: s.Lapsed,
		Note: strings.Join(notes, "; "),
	}
	c.farewell = &f
	c.undone = err == nil && c.clean()
	if e := c.shut(); err == nil && e != nil {
		err = fmt.Errorf("%s: closing: %w", c.spec, e)
	}
	return f, err
}

// Undone reports whether Leave has put everything back.
func (c *Client) Undone() bool {
	c.op.Lock()
	defer c.op.Unlock()
	return c.undone
}

// restore undoes what we did to the guest. It returns whether the guest runs
// now and what could not be put back.
func (c *Client) restore(ctx context.Context) (running bool, notes []string, err error) {
	c.mu.Lock()
	lost, exited, runs, resume := c.err, c.run.exited, c.run.running, c.run.leaveRunning
	found := c.run.found
	c.mu.Unlock()
	switch {
	case exited:
		return false, []string{"the guest has ended"}, nil
	case lost != nil:
		return false, []string{"the link was lost before the guest could be put back" + c.left()}, lost
	case runs && resume && c.clean() && c.prof.qemu && c.obeyed(ctx):
		// QEMU keeps a guest running when its client closes: no need to stop it.
		return true, nil, nil
	case c.opt.MaxPause > 0 && !runs && resume && found == RunRunning && c.clean() && c.prof.qemu:
		// A detach takes longer than the order to run.
		if err := c.quiet(ctx); err == nil {
			c.mu.Lock()
			c.letGo()
			c.mu.Unlock()
		}
		if c.obeyed(ctx) {
			return true, nil, nil
		}
		return c.restoreStopped(ctx)
	case runs && resume && c.clean() && c.prof.inImage && !c.prof.hearsInterrupt:
		return true, nil, nil
	}
	return c.restoreStopped(ctx)
}

// restoreStopped is restore for what is done to a guest that stands: one that runs
// is stopped for it.
func (c *Client) restoreStopped(ctx context.Context) (running bool, notes []string, err error) {
	c.mu.Lock()
	runs, found := c.run.running, c.run.found
	c.mu.Unlock()
	if runs {
		if err := c.halted(ctx); err != nil {
			return true, []string{"the guest did not stop, so it was left running" + c.left()}, err
		}
	}
	c.mu.Lock()
	resume := c.run.leaveRunning
	c.mu.Unlock()
	notes = append(c.undoChanges(ctx), c.removeAll(ctx)...)
	if resume && c.prof.qemu {
		// What the VMM or its operator stopped for reasons of their own is not
		// for us to resume.
		if state := c.otherwisePaused(ctx); state != "" {
			resume = false
			notes = append(notes, "left paused: the VMM says "+state)
		}
	}
	if !resume {
		// QEMU leaves a guest stopped when its client closes without a detach.
		return false, notes, nil
	}
	if err := c.detach(ctx); err != nil {
		return false, append(notes, "the guest could not be resumed and is stopped"), err
	}
	if found == RunUnknown {
		notes = append(notes, "the stub does not tell whether the guest ran before; it runs now")
	}
	return true, notes, nil
}

// obeyed waits until QEMU has taken the order to run, which may get lost if the
// link is closed behind it, and reports whether it has.
func (c *Client) obeyed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		c.mu.Lock()
		taken, over := c.run.running && c.run.taken, !c.run.running || c.err != nil
		c.mu.Unlock()
		if taken || over {
			return taken
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// left names the breakpoints that are still in the guest.
func (c *Client) left() string {
	if len(c.breaks) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("; breakpoints still in it:")
	for i := range c.breaks {
		fmt.Fprintf(&b, " %#x", c.breaks[i].Addr)
	}
	return b.String()
}

// halted stops the running guest and waits until it is.
func (c *Client) halted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout/2)
	defer cancel()
	// The error of a stub that may be deaf is no reason not to wait.
	if err := c.Interrupt(ctx); err != nil && !errors.Is(err, target.ErrUnsupported) {
		return err
	}
	err := c.stands(ctx)
	c.settle(ctx)
	return err
}

// stands waits until the guest stands.
func (c *Client) stands(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.run.running && c.err == nil {
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-ctx.Done():
			c.mu.Lock()
			return fmt.Errorf("waiting for the guest to stop: %w", ctx.Err())
		}
		c.mu.Lock()
	}
	return c.err
}

// removeAll removes every breakpoint and tells of those that stay.
func (c *Client) removeAll(ctx context.Context) (notes []string) {
	for _, b := range append([]inserted(nil), c.breaks...) {
		if err := c.remove(ctx, b.Breakpoint); err != nil {
			notes = append(notes, err.Error())
		}
	}
	return notes
}

// detach lets the guest run and ends the session with the stub.
func (c *Client) detach(ctx context.Context) error {
	if c.prof.inImage {
		// There is no D, and the guest reads its serial port as slowly as it
		// likes: what it has not read yet must not be lost by closing.
		if err := c.resume(ctx, nil); err != nil {
			return err
		}
		c.hangUp(ctx)
		return nil
	}
	c.journal(journal.Detaching{})
	for _, order := range c.detachPackets() {
		reply, err := c.request(ctx, order)
		switch {
		case errors.Is(err, target.ErrUnsupported):
			return c.resume(ctx, nil)
		case err != nil:
			return fmt.Errorf("detaching: %w", err)
		case string(reply) != "OK":
			return fmt.Errorf("detaching: the stub answered %.40q", reply)
		}
	}
	c.mu.Lock()
	c.run.running = true
	c.mu.Unlock()
	return nil
}

// detachPackets are the D packets that let go of every process. QEMU wants the
// process named once any client has ever asked for multiprocess.
func (c *Client) detachPackets() (list []string) {
	seen := map[uint64]bool{}
	for _, t := range c.threads {
		if t.multi && !seen[t.pid] {
			seen[t.pid] = true
			list = append(list, string(packet.AppendUint([]byte("D;"), t.pid)))
		}
	}
	if len(list) == 0 {
		list = []string{"D"}
	}
	return list
}

// drainTimeout is how long the other end of a socket may take to read what is
// left.
const drainTimeout = 500 * time.Millisecond

// hangUp ends our half of a socket and waits until the other end, having read
// all of it, ends its own. Closing at once could reset the connection, and with
// it go bytes that were not read.
func (c *Client) hangUp(ctx context.Context) {
	half, ok := c.link.(interface{ CloseWrite() error })
	c.mu.Lock()
	c.run.leaving = true
	c.mu.Unlock()
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.handBack()
	select {
	case <-c.ended:
	case <-time.After(drainTimeout):
	case <-ctx.Done():
	}
}
