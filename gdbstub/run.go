package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target"
)

// runControl is the run state as the client knows it; Client.mu guards it.
type runControl struct {
	// While attaching, stop replies and noise are evidence, not events.
	attaching bool
	greeting  bool // the first answer is not here yet
	// awaited is a part of the only answer to be taken, "" for any; see Adopt.
	awaited string
	noise   []byte
	initial stopReply
	hasStop bool // initial is set
	// toldRunning: QEMU has told, unasked, that it stopped a guest that ran for our
	// connecting. On a link that was another's the answer to that one's "?" may come
	// as well, which tells a trap.
	toldRunning bool

	leaving      bool // the end of the link is no event any more
	found        RunState
	leaveRunning bool // what Leave makes of the guest
	running      bool
	taken        bool // the order to run was acknowledged
	exited       bool
	epoch        uint64 // counts stops
	threads      []threadID

	actions     []target.Action // of the last Resume
	interrupted time.Time       // when a stop was asked for, zero if not
	breakpoints int             // inserted now
	hits        pendingHits
	untold      bool              // the next stop is no event
	claim       claim             // of the stop that is asked for
	glimpse     bool              // the order to run was sent with the request to stop
	undone      bool              // it has undone somebody else's stop
	reason      target.StopReason // of the last stop told while the guest ran
	foreign     bool              // it stands because somebody else stopped it
	unsettled   *target.Stop      // a stop not told yet: see settle

	stoppedSince time.Time // zero if the guest is not stopped by us
	told         time.Time // when a stop was last told
	// held is for how long the guest stood in the last stops that were ended when their
	// answers were here, from when each was told to the order to run.
	held [steadyStops]time.Duration
	// ordered is when it was let run, and stop how long it had stood, until the
	// stub has acknowledged that.
	ordered time.Time
	stop    time.Duration
}

// Running reports whether the guest runs, as far as is known here.
func (c *Client) Running() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.running
}

// Stands reports whether the guest stands because of us.
func (c *Client) Stands() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.run.running && !c.run.stoppedSince.IsZero()
}

// stopped takes a stop reply that answers no "?"; mu is held.
func (c *Client) stopped(r stopReply) {
	c.run.told = time.Now()
	switch {
	case c.run.attaching && !c.run.untold:
		c.run.initial, c.run.hasStop = r, true
		c.run.toldRunning = c.run.toldRunning || r.signal == sigInt
		c.signal()
	case r.kind == 'W' || r.kind == 'X':
		c.run.running, c.run.exited = false, true
		c.failPending(fmt.Errorf("%w: the guest has ended", target.ErrLost))
		c.event(target.Event{Kind: target.EventExited, Status: r.status})
		c.signal()
	case c.run.running:
		c.stoppedByResume(r)
	case !c.prof.foreign:
		// A stop reply sent twice, because the acknowledgement came late.
		c.stats.Strays++
	case c.sync.active:
		c.sync.stop, c.sync.stopped = r, true
	case len(c.pending) > 0:
		c.sync.stop, c.sync.stopped = r, true
		c.startResync()
	default:
		c.foreignRun(r, false)
	}
}

// stoppedByResume is the end of a Resume.
func (c *Client) stoppedByResume(r stopReply) {
	cpu := c.cpuOf(r)
	a := asked{
		interrupt:   !c.run.interrupted.IsZero(),
		breakpoints: c.run.breakpoints > 0,
		exact:       c.prof.exactInterrupt,
	}
	for _, act := range c.run.actions {
		if act.Step && (act.CPU == cpu || act.CPU == target.AllCPUs) {
			a.step = true
		}
	}
	if r.signal == sigTrap && r.named && !(a.step && r.watch) {
		c.run.hits.told(cpu)
	}
	stop := target.Stop{CPU: cpu, Reason: r.reason(a), Signal: r.signal, WatchAddr: r.addr}
	others := r.others(a)
	c.run.reason = stop.Reason
	if others {
		c.run.leaveRunning = false
	}
	if stop.Reason == target.StopInterrupt && c.prof.inImage {
		c.prof.hearsInterrupt = true
	}
	since := time.Now()
	if stop.Reason == target.StopInterrupt {
		since = c.run.interrupted
	}
	glimpse := c.run.glimpse
	c.halt(since, !others)
	if stop.Reason == target.StopInterrupt && !glimpse {
		c.capStopped()
	}
	switch {
	case c.run.untold:
	case c.prof.patches:
		c.run.unsettled = &stop
		go c.settleSoon()
	default:
		c.event(target.Event{Kind: target.EventStopped, Stop: stop})
	}
	if glimpse {
		c.glimpsed(stop.Reason == target.StopInterrupt)
	}
	c.signal()
}

// halt notes that the guest stopped.
func (c *Client) halt(since time.Time, ours bool) {
	c.run.running, c.run.glimpse = false, false
	c.run.interrupted = time.Time{}
	c.run.epoch++
	c.run.foreign = !ours
	if ours && c.run.untold {
		c.ask(since) // the stop it is a part of goes on
	} else if ours {
		c.stopClock(since)
		c.stats.Stops++
	} else {
		c.run.stoppedSince = time.Time{}
		c.over()
	}
	c.journal(journal.Stopped{LeaveRunning: c.run.leaveRunning})
}

// foreignRun tells that somebody else let the guest run and that it is stopped
// again: by a packet of ours that the running guest swallowed, or as r says.
func (c *Client) foreignRun(r stopReply, swallowed bool) {
	stop := target.Stop{CPU: c.cpuOf(r), Signal: r.signal, WatchAddr: r.addr, Reason: target.StopInterrupt}
	ours := true
	if !swallowed {
		a := asked{breakpoints: c.run.breakpoints > 0, exact: true}
		stop.Reason, ours = r.reason(a), !r.others(a)
	}
	c.run.leaveRunning = ours
	c.halt(time.Now(), ours)
	c.event(target.Event{Kind: target.EventResumed})
	c.event(target.Event{Kind: target.EventStopped, Stop: stop})
}

// cpuOf returns the number of the processor r names. A stub that names none
// has one, or stopped the one that was stepped.
func (c *Client) cpuOf(r stopReply) target.CPU {
	if r.named {
		for i, t := range c.run.threads {
			if t.same(r.thread) {
				return target.CPU(i)
			}
		}
	}
	for _, a := range c.run.actions {
		if a.Step && a.CPU >= 0 {
			return a.CPU
		}
	}
	return 0
}

// resumeRefused takes a packet that is no stop reply while the guest should
// run: the stub did not take the order.
func (c *Client) resumeRefused(p []byte) {
	if code, ok := errorCode(p); ok || len(p) == 0 {
		c.halt(time.Now(), true)
		if !c.run.untold {
			c.event(target.Event{
				Kind: target.EventStopped, Stop: target.Stop{Reason: target.StopUnknown},
				Err: &StubError{Packet: "continue or step", Code: code},
			})
		}
		c.signal()
		return
	}
	c.stats.Strays++
}

// Resume lets the guest run, each processor by its action; without actions all
// of them continue. It returns once the stub was told.
func (c *Client) Resume(ctx context.Context, actions ...target.Action) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if running, known := c.FoundRunning(); c.opt.ReadOnly && (steps(actions) || known && !running) {
		return ErrReadOnly
	}
	return c.resume(ctx, actions)
}

func (c *Client) resume(ctx context.Context, actions []target.Action) error {
	if len(actions) == 0 {
		actions = []target.Action{{CPU: target.AllCPUs}}
	}
	prepare, order, err := c.resumePacket(actions)
	if err != nil {
		return err
	}
	if prepare != "" {
		if _, err := c.request(ctx, prepare); err != nil {
			return err
		}
	}
	if c.resumed() {
		return nil
	}
	if err := c.quiet(ctx); err != nil {
		if errors.Is(err, ErrRunning) && c.resumed() {
			return nil
		}
		return err
	}
	c.mu.Lock()
	ended := c.run.running
	if !ended {
		_, ok := c.begin()
		ended = !ok
	}
	if ended {
		c.cap.lapsed = false
		c.mu.Unlock()
		return nil // its time was over meanwhile
	}
	c.run.running = true
	c.run.interrupted = time.Time{}
	c.run.taken = false
	c.run.actions = append(c.run.actions[:0], actions...)
	c.run.hits.ran(actions, len(c.run.threads))
	if !c.run.untold {
		c.account(time.Now())
		c.stats.Resumes++
	}
	c.journalResume()
	c.wbuf = packet.AppendString(c.wbuf[:0], order)
	out := c.wbuf
	if c.ack {
		c.lastOut = append(c.lastOut[:0], out...)
	}
	c.mu.Unlock()
	err = c.write(out)
	c.over()
	if err != nil {
		c.lose(err)
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.err
	}
	c.handOver()
	if !c.prof.qemu && !steps(actions) {
		c.journal(journal.Resumed{})
	}
	return nil
}

// steps reports whether one of the actions is a step.
func steps(actions []target.Action) bool {
	for _, a := range actions {
		if a.Step {
			return true
		}
	}
	return false
}

// account adds the stop that ends at a moment to the time the guest was kept
// stopped.
func (c *Client) account(at time.Time) {
	if !c.run.stoppedSince.IsZero() {
		d := max(0, at.Sub(c.run.stoppedSince))
		c.stats.Stopped += d
		c.stats.Longest = max(c.stats.Longest, d)
		c.run.stoppedSince = time.Time{}
		c.run.ordered, c.run.stop = at, d
		if held := at.Sub(c.run.told); !c.run.told.IsZero() {
			c.stats.Held = max(c.stats.Held, held)
			copy(c.run.held[1:], c.run.held[:])
			c.run.held[0] = held
		}
	}
}

// stopClock notes since when the guest is stopped by us; mu is held.
func (c *Client) stopClock(since time.Time) {
	c.run.stoppedSince = since
	if c.opt.MaxPause <= 0 {
		c.ask(since) // else it began when the stop was asked for
	}
}

// quiet waits until nothing is in flight: a packet behind the one that lets
// the guest run would stop it again.
func (c *Client) quiet(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pending) > 0 || c.sync.active {
		if err := c.waitLocked(ctx); err != nil {
			return err
		}
	}
	if c.run.running {
		return ErrRunning
	}
	return c.err
}

// resumePacket writes the order for actions, and the packet to send before it
// if the stub knows no vCont.
func (c *Client) resumePacket(actions []target.Action) (prepare, order string, err error) {
	var every *target.Action
	vcont := []byte("vCont")
	for i, a := range actions {
		if a.CPU == target.AllCPUs {
			every = &actions[i]
			continue
		}
		t, err := c.thread(a.CPU)
		if err != nil {
			return "", "", err
		}
		vcont = append(append(vcont, ';'), verb(a)...)
		if len(c.threads) > 1 {
			vcont = t.append(append(vcont, ':'))
		}
	}
	if every != nil {
		// The default for the others comes last and names no thread.
		vcont = append(append(vcont, ';'), verb(*every)...)
	}
	if c.prof.vCont {
		return "", string(vcont), nil
	}
	if len(actions) != 1 {
		return "", "", fmt.Errorf("%w: the stub knows no vCont, so processors cannot run each their own way", target.ErrUnsupported)
	}
	a := actions[0]
	if len(c.threads) > 1 {
		prepare = "Hc-1"
		if a.CPU != target.AllCPUs {
			prepare = "Hc" + c.threads[a.CPU].String()
		}
	}
	return prepare, verb(a), nil
}

// verb is the letter for an action; with a signal it is upper case.
func verb(a target.Action) string {
	letter := "c"
	if a.Step {
		letter = "s"
	}
	if a.Signal != 0 {
		return fmt.Sprintf("%c%02x", letter[0]-'a'+'A', byte(a.Signal))
	}
	return letter
}

// Interrupt asks a running guest to stop; the stop comes as an event. It may be
// called from any goroutine. A guest that is stopped stays as it is.
//
// A stub that is not known to hear the request is sent it all the same, and
// the error says so.
func (c *Client) Interrupt(context.Context) error {
	c.mu.Lock()
	if c.err != nil || !c.run.running {
		err := c.err
		c.mu.Unlock()
		return err
	}
	if c.run.interrupted.IsZero() {
		c.askStop(time.Now())
	}
	out, deaf := c.prof.interrupt, c.prof.inImage && !c.prof.hearsInterrupt
	c.mu.Unlock()
	if err := c.sendStop(out); err != nil {
		return err
	}
	if deaf {
		return fmt.Errorf("%w: %s", target.ErrUnsupported, whyDeaf)
	}
	return nil
}

// askStop notes that a stop is asked for; mu is held.
func (c *Client) askStop(at time.Time) {
	c.run.interrupted = at
	c.cap.lapsed, c.cap.glimpsed = false, false
	c.journal(journal.Interrupt{})
	if c.opt.MaxPause > 0 && !c.run.glimpse {
		c.ask(at)
	}
}

// sendStop sends what asks for a stop.
func (c *Client) sendStop(out []byte) error {
	if err := c.write(out); err != nil {
		c.lose(err)
		return fmt.Errorf("%s: %w: %w", c.spec, target.ErrLost, err)
	}
	return nil
}

// whyDeaf says why an in-image stub may not stop.
const whyDeaf = onlyTraps + "; a request to stop was sent, and only a build that looks for one hears it"

const onlyTraps = "the guest's own stub is entered only by a trap"

// Interruptible reports whether a running guest can be stopped, as far as is
// known. The error is target.ErrUnsupported.
func (c *Client) Interruptible() error {
	if caps := c.Capabilities(); !caps.CanInterrupt {
		return fmt.Errorf("%w: %s", target.ErrUnsupported, caps.WhyNot)
	}
	return nil
}
