package gdbstub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

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
	if c.opt.Orphan != nil {
		if err := c.tellOldHits(ctx); err != nil {
			return err
		}
	}

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
