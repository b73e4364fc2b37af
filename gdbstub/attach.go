package gdbstub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// features are the entries of a qSupported reply.
type features struct {
	list       []string
	packetSize int
}

// maxPacketSize bounds the packet size a stub may ask for.
const maxPacketSize = 256 << 10

func parseFeatures(reply []byte) features {
	f := features{list: strings.Split(string(reply[:min(len(reply), 4096)]), ";")}
	for _, e := range f.list {
		if v, ok := strings.CutPrefix(e, "PacketSize="); ok {
			if n, err := strconv.ParseUint(v, 16, 32); err == nil {
				f.packetSize = int(min(n, maxPacketSize))
			}
		}
	}
	return f
}

func (f features) has(name string) bool {
	for _, e := range f.list {
		if e == name {
			return true
		}
	}
	return false
}

// readsFeatures says that the stub describes its registers.
const readsFeatures = "qXfer:features:read+"

// onlyQEMUs reports whether the reply has all that QEMU's stub tells of a system
// it emulates and nothing else (gdbstub.c, handle_query_supported): no other
// stub is known to say just that.
func (f features) onlyQEMUs() bool {
	for _, e := range f.list {
		switch e {
		case readsFeatures, "vContSupported+", "multiprocess+", "ReverseStep+", "ReverseContinue+":
		default:
			if !strings.HasPrefix(e, "PacketSize=") {
				return false
			}
		}
	}
	return f.has("vContSupported+") && f.has("multiprocess+")
}

// few reports whether the reply has no entries but those every small stub has,
// Unikraft's among them.
func (f features) few() bool {
	for _, e := range f.list {
		if !strings.HasPrefix(e, "PacketSize=") && e != readsFeatures && e != "QStartNoAckMode+" {
			return false
		}
	}
	return f.packetSize > 0
}

// learn finds out what stub it is and what guest.
func (c *Client) learn(ctx context.Context, f features) error {
	switch {
	case f.has("QStartNoAckMode+"):
		reply, err := c.request(ctx, "QStartNoAckMode")
		if err != nil && !errors.Is(err, target.ErrUnsupported) {
			return err
		}
		if string(reply) == "OK" {
			c.setAck(false)
		}
	case f.onlyQEMUs():
		return c.learnQEMU(ctx, f)
	case f.has("vContSupported+") && f.has("multiprocess+"):
		// Perhaps a QEMU not known here; several questions at once only to one
		// that is known to take them.
		reply, err := c.request(ctx, isQEMU)
		if err != nil && !errors.Is(err, target.ErrUnsupported) {
			return err
		}
		if bytes.HasPrefix(reply, []byte(qemuSays)) {
			return c.learnQEMU(ctx, f)
		}
	}
	return c.learnPlain(ctx, f)
}

// isQEMU is what only QEMU's stub answers, beginning with qemuSays.
const (
	isQEMU   = "qqemu.sstepbits"
	qemuSays = "ENABLE="
)

// learnQEMU asks QEMU's stub all at once. One that turns out to be another is
// asked anew, one question at a time.
func (c *Client) learnQEMU(ctx context.Context, f features) error {
	plain := c.prof
	p := plain
	p.becomeQEMU()
	c.setAck(false)
	c.setProfile(p)
	c.chunk = chunkSize(f)

	q := []ask{{text: isQEMU}, {text: "?", kind: replyStop}, {text: "qfThreadInfo"}, {text: "qqemu.PhyMemMode"}}
	c.mu.Lock()
	told := c.run.toldRunning
	c.mu.Unlock()
	if !told {
		q = append(q, monitorAsk("info version"), monitorAsk("info status"))
	}
	more := len(q)
	q = append(q, ask{text: "qsThreadInfo"})
	if f.has(readsFeatures) {
		q = append(q, c.askXfer("target.xml", 0, 1)...)
	}
	a := asks{list: q}
	if err := c.exchange(ctx, &a); err != nil {
		return err
	}
	if !bytes.HasPrefix(a.list[0].call.raw, []byte(qemuSays)) {
		c.setAck(true)
		c.setProfile(plain)
		return c.learnPlain(ctx, f)
	}
	return c.conclude(ctx, f, answers{
		stop: a.list[1].call, threads: a.list[2].call, special: a.list[3].call, monitor: a.list[4:more],
		moreThreads: a.list[more].call, targetXML: a.list[more+1:],
	})
}

// learnPlain finds out about a stub that is not QEMU's.
func (c *Client) learnPlain(ctx context.Context, f features) error {
	p := c.prof
	if len(f.list) > 0 && strings.HasPrefix(f.list[0], "PacketSize=") {
		p.question, p.answer = supported, "PacketSize="
	}
	c.setProfile(p)
	c.chunk = chunkSize(f)

	a := asks{list: []ask{{text: "?", kind: replyStop}, {text: "qfThreadInfo"}, {text: "vCont?"}}}
	if err := c.exchange(ctx, &a); err != nil {
		return err
	}
	return c.conclude(ctx, f, answers{stop: a.list[0].call, threads: a.list[1].call, special: a.list[2].call})
}

// answers are those to learn's questions; what was not asked is nil.
type answers struct {
	stop, threads, moreThreads *call
	// special is the answer to qqemu.PhyMemMode or vCont?.
	special *call
	// monitor is QEMU's version and run state, asked for where the stub did not
	// tell the state.
	monitor   []ask
	targetXML []ask // the document's first piece
}

// conclude draws the conclusions from the answers to learn's questions.
func (c *Client) conclude(ctx context.Context, f features, got answers) error {
	if stop, ok := parseStop(got.stop.raw); ok {
		c.mu.Lock()
		if !c.run.hasStop {
			c.run.initial = stop
		}
		c.mu.Unlock()
		if stop.kind == 'W' || stop.kind == 'X' {
			return errors.New("the guest has ended")
		}
	}
	p := c.prof
	p.noThreads = got.threads.empty || got.threads.code != ""
	if p.qemu {
		if string(got.special.raw) == "1" {
			if _, err := c.request(ctx, "Qqemu.PhyMemMode:0"); err != nil {
				return err
			}
		}
		if len(got.monitor) > 0 {
			p.version = parseQEMUVersion(got.monitor[0].call.raw)
		}
	} else {
		p.vCont = strings.Contains(string(got.special.raw), ";c") && strings.Contains(string(got.special.raw), ";s")
		p.inImage = p.noThreads && p.vCont && f.few()
		if p.inImage {
			p.name = "in-image stub (Unikraft)"
			p.patches, p.noP = true, true
			// A trap that came by itself just then tells SIGTRAP.
			p.hearsInterrupt = c.poked && c.initialSignal() == sigInt
		}
	}
	c.setProfile(p)
	var first []*call
	if !p.noThreads {
		first = append(first, got.threads)
		if got.moreThreads != nil {
			first = append(first, got.moreThreads)
		}
	}
	if err := c.refreshThreads(ctx, first...); err != nil {
		return err
	}
	c.decideFound(got)
	c.decided = true
	if err := c.journalAttached(); err != nil {
		return err
	}
	if c.opt.MaxPause <= 0 {
		return c.describe(ctx, f, got.targetXML)
	}
	// It is known now whose stop this is, and so whether it may be ended.
	c.mu.Lock()
	c.attached()
	c.mu.Unlock()
	return c.steadily(func() error { return c.describe(ctx, f, got.targetXML) }, func() error { return c.stopAgain(ctx) })
}

// stopAgain stops a guest that was let run in the middle of the attachment. The
// event is nobody's.
func (c *Client) stopAgain(ctx context.Context) error {
	if err := c.Interrupt(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout/2)
	defer cancel()
	for {
		select {
		case e, ok := <-c.events.out:
			if !ok || e.Kind == target.EventStopped {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for the guest to stop: %w", ctx.Err())
		}
	}
}

// decideFound tells whether the guest ran before we came.
func (c *Client) decideFound(got answers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := RunUnknown
	switch p := c.prof; {
	case c.opt.Found != RunUnknown:
		found = c.opt.Found
	case p.qemu && c.run.toldRunning, c.poked && c.run.hasStop && c.run.initial.signal == sigInt:
		found = RunRunning
	case p.qemu && p.version.tellsFoundRunning():
		found = RunPaused
	case p.qemu && len(got.monitor) > 1 && strings.Contains(string(got.monitor[1].call.raw), "paused ("):
		// Stopped by nobody's connecting: (prelaunch), (debug), (shutdown)…
		found = RunPaused
	case p.inImage:
		found = RunPaused
	}
	c.run.found = found
	// A guest in its own stub's trap goes on when the debugger goes: nobody
	// else could let it.
	c.run.leaveRunning = found != RunPaused || c.prof.inImage
}

// parseQEMUVersion reads "7.2.22Debian 1:7.2+dfsg-7".
func parseQEMUVersion(text []byte) (v qemuVersion) {
	major, rest, _ := strings.Cut(string(text), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if err != nil || err2 != nil || a < 0 || b < 0 {
		return v
	}
	return qemuVersion{a, b}
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

// Sizes of memory reads in bytes.
const (
	defaultChunk = 512 // where the stub tells no packet size
	minChunk     = 64
)

// chunkSize is the largest read worth trying: its answer fills a packet without
// the framing, which is what gdb asks for too.
func chunkSize(f features) int {
	if f.packetSize == 0 {
		return defaultChunk
	}
	return max(minChunk, f.packetSize/2)
}
