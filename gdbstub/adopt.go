package gdbstub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// ErrNotConnected: the process that prepared the link never connected it.
var ErrNotConnected = errors.New("the link was never connected")

// Adopt goes on with an attachment whose process is gone: files are those its
// Way had, st is its journal. The packet stream is brought back into step, what
// the journal tells of the guest is taken over, and the guest is stopped if
// anything is to be undone. Leave then undoes it.
//
// A guest that certainly runs, with nothing of ours in it, is not stopped for
// that.
func Adopt(ctx context.Context, spec target.Spec, files []*os.File, st *journal.State, opt Options) (*Client, error) {
	l, err := inherit(spec, files)
	if err != nil {
		return nil, err
	}
	if opt.Arch == nil {
		opt.Arch = archNamed(st.Arch)
	}
	opt.Orphan = st
	c := makeClient(spec, opt.withDefaults(), l)
	c.adopted = true
	c.prof = plainProfile()
	if st.Attached {
		if st.Stub.QEMU {
			c.prof.becomeQEMU()
		}
		c.prof.inImage, c.prof.hearsInterrupt = st.Stub.InImage, st.Stub.HearsInterrupt
	}
	// Nothing is acknowledged here: that '+' would stop a running guest.
	c.ack = false
	c.feed(append([]byte(nil), st.Heard...))
	if !opt.Ordered.IsZero() {
		time.Sleep(time.Until(opt.Ordered.Add(orderTime)))
	}
	c.pendingInput()
	c.ack = !st.Attached || st.Stub.Ack
	a := &adoption{c: c, st: st, stopped: c.run.hasStop, obeyed: !opt.Ordered.IsZero() && c.acked}
	go c.readLoop()
	if err := a.run(ctx); err != nil {
		if st.Attached && st.Stub.QEMU && st.LeaveRunning {
			// If the stub comes to life again, it finds this in the stream: it
			// removes all breakpoints and lets the guest run.
			_ = c.write(packet.AppendString(nil, "D;1"))
		}
		_ = c.shut() // the caller has an error that says more
		return nil, err
	}
	return c, nil
}

// inherit makes a link of descriptors that are open already.
func inherit(spec target.Spec, files []*os.File) (link, error) {
	switch spec.Scheme {
	case target.TCP, target.Unix:
		for _, f := range files {
			if l, err := inheritSocket(f); err == nil {
				return l, nil
			}
		}
		return nil, fmt.Errorf("%s: %w", spec, ErrNotConnected)
	case target.Serial:
		if len(files) == 1 {
			return inheritSerial(files[0]), nil
		}
	case target.Exec:
		if len(files) == 3 {
			return inheritExec(files), nil
		}
	}
	return nil, fmt.Errorf("%s: %d descriptors are no link to it", spec, len(files))
}

// orderTime is how long after an order to run its acknowledgement is looked for. That
// of a request is followed by an answer, and is not mistaken for it unless the stub
// pauses for as long between the two.
const orderTime = 100 * time.Millisecond

// inputGrace is how long what the stub has sent already may take to be read.
const inputGrace = 300 * time.Microsecond

// pendingInput takes what came before we send anything: after that, it could be
// ours. Nothing else reads yet.
func (c *Client) pendingInput() {
	buf := make([]byte, 64<<10)
	if c.direct != nil {
		for total := 0; total < 1<<20 && c.direct.await(inputGrace) == nil; {
			n, err := c.direct.receive(buf)
			c.feed(buf[:n])
			if total += n; n == 0 || err != nil {
				return // a link that has ended says so again
			}
		}
		return
	}
	d, ok := c.link.(interface{ SetReadDeadline(time.Time) error })
	if !ok {
		return
	}
	for total := 0; total < 1<<20; {
		if d.SetReadDeadline(time.Now().Add(inputGrace)) != nil {
			return
		}
		n, err := c.link.Read(buf)
		c.feed(buf[:n])
		if total += n; err != nil {
			break // a link that has ended says so again
		}
	}
	_ = d.SetReadDeadline(time.Time{}) // a link without deadlines had none
}

// adoption is the way from a dead process's link to a client.
type adoption struct {
	c  *Client
	st *journal.State
	// stopped: the guest's stop was told before we sent anything.
	stopped bool
	// obeyed: the last thing the stub said is that it has the order to run.
	obeyed bool
}

func (a *adoption) run(ctx context.Context) error {
	c, st := a.c, a.st
	leave := st.LeaveRunning
	if st.Attached && st.Running && a.stopped {
		leave = leave && !a.foreign()
	}
	if a.leaveAlone() {
		c.run.found, c.run.leaveRunning = fromJournal(st.Stub.Found), leave
		c.run.attaching, c.run.running = false, true
		c.run.taken = true // that is what Sure says
		return nil
	}
	feats, err := a.greet(ctx)
	if err != nil {
		return fmt.Errorf("%s: taking the link over: %w", c.spec, err)
	}
	if err := c.learn(ctx, feats); err != nil {
		return fmt.Errorf("%s: taking the link over: %w", c.spec, err)
	}
	leave = leave && !c.foreignStop()
	if st.Attached {
		c.mu.Lock()
		c.run.found = fromJournal(st.Stub.Found)
		// Somebody let a guest run that we had stopped: that stands.
		c.run.leaveRunning = leave || !st.Running && !a.stopped && c.run.hasStop && c.prof.foreign
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.attached()
	err = c.err
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.inherit(ctx, st)
}

// foreign reports whether the last stop told was somebody else's.
func (a *adoption) foreign() bool {
	return a.c.run.initial.others(asked{
		interrupt: a.st.Interrupted, step: a.st.Stepping, breakpoints: len(a.st.Breaks) > 0, exact: a.st.Stub.QEMU,
	})
}

// leaveAlone reports whether the guest runs for certain and is clean.
func (a *adoption) leaveAlone() bool {
	st := a.st
	return st.Attached && st.Running && (st.Sure || a.obeyed) && !st.Interrupted && !a.stopped && st.Clean() && (st.Stub.QEMU || st.Stub.InImage)
}

// resend is how long a question may be without an answer before it is asked
// again: a packet that found the guest running was thrown away, one behind half
// a packet was taken for a part of it.
const resend = 40 * time.Millisecond

// greet sends qSupported until its answer comes, which cannot be mistaken for
// one to what the dead process had asked.
func (a *adoption) greet(ctx context.Context) (features, error) {
	c, st := a.c, a.st
	cl := &call{}
	hi := packet.AppendString([]byte{'+'}, supported)
	runs := st.Attached && st.Running && !a.stopped
	patient := c.opt.AttachTimeout
	switch {
	case runs && st.Stub.InImage && !st.Stub.HearsInterrupt && st.Sure:
		// Nothing is heard there before its next trap, which the breakpoint
		// brings about sooner or later.
		patient = 0
	case runs:
		c.journal(journal.Interrupt{})
		hi = append([]byte{'+', packet.Interrupt}, hi[1:]...)
	}
	c.mu.Lock()
	c.run.awaited = "PacketSize="
	c.pending = append(c.pending, cl)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.run.awaited, c.run.greeting = "", false
		c.mu.Unlock()
	}()
	if patient > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patient)
		defer cancel()
	}
	asked := patient > 0
	if asked {
		if err := c.write(hi); err != nil {
			c.lose(err)
		}
	}
	tick := time.NewTicker(resend)
	defer tick.Stop()
	for {
		c.mu.Lock()
		done, lost, stop := cl.done, c.err, c.run.hasStop
		if done {
			c.greeted = append(c.greeted[:0], cl.raw...)
		}
		c.mu.Unlock()
		again := false
		switch {
		case lost != nil:
			return features{}, lost
		case done:
			return parseFeatures(cl.raw), nil
		case stop && !asked:
			asked, again = true, true
		}
		if !again {
			select {
			case <-c.wake:
			case <-tick.C:
				again = asked
			case <-ctx.Done():
				return features{}, fmt.Errorf("%w within %v", ErrSilent, c.opt.AttachTimeout)
			}
		}
		if again {
			if err := c.write(packet.AppendString([]byte{'+'}, supported)); err != nil {
				c.lose(err)
			}
		}
	}
}

// unawaited reports whether p is no answer to the question a new owner of the
// link asks first; mu is held.
func (c *Client) unawaited(p []byte) bool {
	return c.run.awaited != "" && !bytes.Contains(p, []byte(c.run.awaited))
}

// Recover takes over what a dead attachment's journal tells, on a fresh
// connection: which run state to leave and what to undo.
func (c *Client) Recover(ctx context.Context, st *journal.State) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	c.adopted = true
	if !st.Attached {
		// It was never known how the guest was found. What the stub said then,
		// or what others know, tells whether that connection stopped it.
		c.mu.Lock()
		if c.run.found == RunPaused && (ranWhenHeard(st.Heard) || c.ranBefore == RunRunning) {
			c.run.leaveRunning = true
		}
		c.mu.Unlock()
		return nil
	}
	leave, err := c.leftBehind(ctx, st)
	if err != nil {
		return err
	}
	leave = leave && !c.foreignStop()
	c.mu.Lock()
	c.run.found = fromJournal(st.Stub.Found)
	c.run.leaveRunning = leave
	c.mu.Unlock()
	return c.inherit(ctx, st)
}

// leftBehind decides what to make of a guest whose attachment died, from how it
// is now.
func (c *Client) leftBehind(ctx context.Context, st *journal.State) (running bool, err error) {
	c.mu.Lock()
	now := c.run.found
	c.mu.Unlock()
	switch {
	case now == RunRunning:
		// We let it run, or somebody else did after our stop.
		return st.LeaveRunning || !st.Running, nil
	case !st.Running || !st.Sure || st.Stepping || st.Interrupted:
		return st.LeaveRunning, nil // that stop was ours
	}
	// It ran when its attachment died. Now it stands: at a breakpoint of ours,
	// or because somebody stopped it.
	for cpu := range c.threads {
		regs, err := c.readRegisters(ctx, target.CPU(cpu))
		if err != nil {
			return false, err
		}
		for _, b := range st.Breaks {
			if regs.PC() == b.Addr || b.Patched && regs.PC() == b.Addr+c.arch.BreakpointAdvance {
				return st.LeaveRunning, nil
			}
		}
	}
	if len(st.Breaks) > 0 && c.prof.qemu && c.pausedForDebug(ctx) {
		return st.LeaveRunning, nil // a watchpoint
	}
	return false, nil
}

// inherit takes over the breakpoints and changes of a journal. What a stub has
// is taken out at once; what is patched or changed is Leave's to undo.
func (c *Client) inherit(ctx context.Context, st *journal.State) error {
	patched := false
	for _, b := range st.Breaks {
		in := inserted{Breakpoint: target.Breakpoint{Kind: target.BreakKind(b.Kind), Addr: b.Addr, Len: b.Len}, patched: b.Patched, orig: b.Orig}
		if in.Kind < target.BreakSoftware || in.Kind > target.WatchAccess || in.Len <= 0 {
			continue
		}
		if in.patched && c.arch != nil && len(in.orig) == len(c.arch.Breakpoint) {
			c.breaks = append(c.breaks, in)
			patched = true
			continue
		}
		if err := c.purge(ctx, in); err != nil {
			return err
		}
	}
	c.countBreaks()
	if patched {
		for cpu := range c.threads {
			if _, err := c.adjustPC(ctx, target.CPU(cpu)); err != nil {
				return err
			}
		}
	}
	for i := range st.Memory {
		c.changes = append(c.changes, change{memory: &st.Memory[i]})
	}
	for i := range st.Registers {
		c.changes = append(c.changes, change{register: &st.Registers[i]})
	}
	return nil
}

// purge takes a breakpoint of the stub's out that may be there or not, and
// looks whether the text is whole.
func (c *Client) purge(ctx context.Context, in inserted) error {
	// QEMU has removed all of them at our "?".
	if !c.prof.qemu {
		var no *StubError
		if _, err := c.request(ctx, zPacket('z', in.Breakpoint)); err != nil && !errors.As(err, &no) {
			return err
		}
	}
	if in.Kind == target.BreakSoftware && c.arch != nil && len(in.orig) == len(c.arch.Breakpoint) && !bytes.Equal(in.orig, c.arch.Breakpoint) {
		if err := c.unpatch(ctx, in); err != nil {
			return fmt.Errorf("the breakpoint left at %#x: %w", in.Addr, err)
		}
	}
	c.journal(journal.Remove{Break: in.journaled()})
	return nil
}

// ranWhenHeard reports whether the stub told of a stop when it was connected
// to, which QEMU does for a guest that ran.
func ranWhenHeard(heard []byte) bool {
	for len(heard) > 0 {
		i := bytes.IndexByte(heard, '$')
		if i < 0 {
			return false
		}
		heard = heard[i+1:]
		p, _, whole := bytes.Cut(heard, []byte{'#'})
		if stop, ok := parseStop(p); whole && ok && stop.signal == sigInt {
			return true
		}
	}
	return false
}

func fromJournal(r journal.RunState) RunState {
	switch r {
	case journal.Running:
		return RunRunning
	case journal.Paused:
		return RunPaused
	}
	return RunUnknown
}

// archNamed is the architecture a journal names.
func archNamed(name string) *arch.Arch {
	for _, a := range arch.All {
		if a.Name == name {
			return a
		}
	}
	return nil
}
