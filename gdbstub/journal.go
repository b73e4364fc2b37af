package gdbstub

import (
	"bytes"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// listener is a link that can tell what it is about to return.
type listener interface {
	listen(heed func() bool, note func([]byte))
}

// journal notes what is not for refusing: the way back, or what the guest does
// of itself. A journal that cannot be written leaves the guard to find out.
func (c *Client) journal(r journal.Record) { _ = c.opt.Journal.Append(r) }

// heeds reports whether what comes next tells of the run state: then it is
// journaled before it is taken from the link, so that dying in between loses
// nothing.
func (c *Client) heeds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heedsLocked()
}

func (c *Client) heedsLocked() bool {
	return c.opt.Journal != nil && !c.adopted && (c.run.greeting || c.run.running)
}

// resumeTaken notes that QEMU has the order to run: it acknowledges every packet,
// and what was only written may be lost with the link.
func (c *Client) resumeTaken() {
	// Each request is acknowledged before it is answered: those before the order
	// come first.
	if !c.run.running || !c.prof.qemu || c.run.taken || len(c.pending) > 0 {
		return
	}
	c.run.taken = true
	if !c.run.ordered.IsZero() {
		d := time.Since(c.run.ordered)
		c.run.ordered = time.Time{}
		c.stats.Latest = max(c.stats.Latest, c.run.stop+d)
	}
	if !steps(c.run.actions) {
		c.journal(journal.Resumed{})
	}
	c.signal()
}

// journalResume precedes an order to run.
func (c *Client) journalResume() { c.journal(journal.Resume{Step: steps(c.run.actions)}) }

// heard journals what came. Console text on the same line is of no interest.
func (c *Client) heard(p []byte) {
	if bytes.IndexByte(p, '$') < 0 && !c.partly {
		return
	}
	// A packet that goes on in the next piece is wanted whole.
	last := bytes.LastIndexByte(p, '#')
	c.partly = bytes.LastIndexByte(p, '$') > last || last > len(p)-3
	c.journal(journal.Heard{Data: p[:min(len(p), maxNoted)]})
}

// maxNoted is how much is taken from the link at once while it is heeded, in
// bytes.
const maxNoted = 1 << 10

// journalAttached notes what stub it is and how the guest was found. The guest
// is not touched before that is in the journal.
func (c *Client) journalAttached() error {
	if c.adopted {
		return nil // it is there already, from the first who attached
	}
	c.mu.Lock()
	a := journal.Attached{
		QEMU: c.prof.qemu, InImage: c.prof.inImage, HearsInterrupt: c.prof.hearsInterrupt, Ack: c.ack,
		Question: c.prof.question, Answer: c.prof.answer,
		Found: foundState(c.run.found), LeaveRunning: c.run.leaveRunning,
	}
	c.mu.Unlock()
	return c.opt.Journal.Append(a)
}

func foundState(r RunState) journal.RunState {
	return [...]journal.RunState{RunUnknown: journal.Unknown, RunRunning: journal.Running, RunPaused: journal.Paused}[r]
}

func (b *inserted) journaled() journal.Break {
	return journal.Break{Kind: int(b.Kind), Addr: b.Addr, Len: b.Len, Patched: b.patched, Orig: b.orig}
}
