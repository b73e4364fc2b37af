package gdbstub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// readLoop is the goroutine that reads the link until it ends.
func (c *Client) readLoop() {
	if c.direct != nil {
		c.readDirect(c.direct)
		return
	}
	defer close(c.ended)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.link.Read(buf)
		if n > 0 {
			c.mu.Lock()
			if !c.listens && c.heedsLocked() {
				c.heard(buf[:n]) // too late to be sure, as early as can be
			}
			c.fed(buf[:n])
			c.mu.Unlock()
		}
		if err != nil {
			c.lose(err)
			return
		}
	}
}

// fed takes what came from the link; mu is held.
func (c *Client) fed(in []byte) {
	c.lastRx = time.Now()
	c.stats.BytesIn += uint64(len(in))
	c.feed(in)
}

// lose ends the link: every call in flight fails, every later one too.
func (c *Client) lose(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		if errors.Is(why, io.EOF) {
			text := "the stub closed the connection"
			if c.rd.Partial() {
				text += " in the middle of a packet"
			}
			why = errors.New(text)
		}
		c.err = fmt.Errorf("%s: %w: %w", c.spec, target.ErrLost, why)
		if !c.run.attaching && !c.run.leaving {
			c.event(target.Event{Kind: target.EventLost, Err: c.err})
		}
	}
	c.failPending(c.err)
	c.signal()
}

// failPending finishes every call in flight with err.
func (c *Client) failPending(err error) {
	for _, cl := range c.pending {
		cl.err, cl.done, cl.dst = err, true, nil
	}
	c.pending = c.pending[:0]
	c.failHeld(err)
}

// feed takes what came from the stub apart; mu is held.
func (c *Client) feed(in []byte) {
	for len(in) > 0 {
		tok, n := c.rd.Next(in)
		in = in[n:]
		c.acked = tok.Kind == packet.Ack
		switch tok.Kind {
		case packet.Data:
			if c.ack {
				c.reply([]byte{'+'})
			}
			c.packet(tok.Payload)
		case packet.BadChecksum:
			c.stats.BadPackets++
			if c.ack {
				c.reply([]byte{'-'}) // the stub sends it again
			} else {
				c.finishHead(func(cl *call) { cl.err = errCorrupt })
			}
		case packet.TooLong:
			c.stats.BadPackets++
			if c.ack {
				c.reply([]byte{'+'}) // sending it again would not help
			}
			c.finishHead(func(cl *call) {
				cl.err = fmt.Errorf("%w: longer than %d bytes", errCorrupt, packet.DefaultMax)
			})
		case packet.Ack:
			c.claimed()
			c.resumeTaken()
		case packet.Nack:
			if c.ack {
				c.retransmit()
			} else {
				c.disclaim()
			}
		case packet.Noise:
			c.noise(tok.Payload)
		}
		// Notifications belong to non-stop mode, which is never asked for;
		// acks carry nothing.
	}
}

// reply writes from the reading goroutine; a failure shows as the link's end.
func (c *Client) reply(p []byte) {
	if err := c.write(p); err != nil && c.err == nil {
		c.err = fmt.Errorf("%s: %w: %w", c.spec, target.ErrLost, err)
		c.failPending(c.err)
		c.signal()
	}
}

// maxRetransmits bounds how often one request is sent again.
const maxRetransmits = 5

// retransmit sends the last request again while acks are on.
func (c *Client) retransmit() bool {
	if len(c.lastOut) == 0 || c.retries == maxRetransmits {
		return false
	}
	c.retries++
	c.lastRx = time.Now()
	c.reply(c.lastOut)
	return true
}

// noise is bytes outside packets: a console on the same line. During the
// attachment it is kept as evidence of what is at the other end.
func (c *Client) noise(p []byte) {
	if c.run.attaching {
		room := maxNoise - len(c.run.noise)
		c.run.noise = append(c.run.noise, p[:min(room, len(p))]...)
		c.signal()
		return
	}
	c.event(target.Event{Kind: target.EventOutput, Text: append([]byte(nil), p...)})
}

// maxNoise is how much of what came before the first packet is kept.
const maxNoise = 4 << 10

// packet takes one packet; mu is held and p is the reader's.
func (c *Client) packet(p []byte) {
	if stop, ok := parseStop(p); ok && !c.isReply(stop) {
		c.stopped(stop)
		return
	}
	if c.sync.active {
		c.resyncReply(p)
		return
	}
	if text, ok := outputPacket(p); ok && !c.monitoring() {
		c.event(target.Event{Kind: target.EventOutput, Text: text})
		return
	}
	switch {
	case c.unawaited(p):
		c.stats.Strays++
	case c.run.attaching && len(c.greeted) > 0 && bytes.Equal(p, c.greeted):
		c.stats.Strays++ // qSupported was sent twice, and heard twice
	case len(c.pending) > 0:
		c.finishHead(func(cl *call) { cl.take(p) })
	case c.run.running && len(p) > 0 && p[0] == 'F':
		// A file-I/O request (semihosting to gdb): the guest waits for the
		// answer. -1 with EUNKNOWN (9999) tells it that nobody does this.
		c.reply(packet.AppendString(nil, "F-1,270f"))
	case c.run.running:
		c.resumeRefused(p)
	}
}

// isReply reports whether a stop reply answers a "?" of ours.
func (c *Client) isReply(r stopReply) bool {
	return len(c.pending) > 0 && c.pending[0].kind == replyStop && !c.sync.active
}

func (c *Client) monitoring() bool {
	return len(c.pending) > 0 && c.pending[0].kind == replyMonitor
}

// outputPacket decodes "O" and hex text.
func outputPacket(p []byte) ([]byte, bool) {
	if len(p) < 1 || p[0] != 'O' || len(p)%2 == 0 {
		return nil, false
	}
	text := make([]byte, len(p)/2)
	_, ok := packet.DecodeHex(text, p[1:])
	return text, ok
}

// finishHead lets fill complete the oldest call in flight and wakes its owner.
// A monitor command's output does not end it.
func (c *Client) finishHead(fill func(cl *call)) {
	if len(c.pending) == 0 {
		c.stats.Strays++
		return
	}
	cl := c.pending[0]
	fill(cl)
	if cl.kind == replyMonitor && !cl.done && cl.err == nil {
		return
	}
	cl.done = true
	copy(c.pending, c.pending[1:])
	c.pending = c.pending[:len(c.pending)-1]
	c.retries = 0
	c.signal()
}

// take stores the reply p, which is the reader's, in the call.
func (cl *call) take(p []byte) {
	if len(p) == 0 {
		cl.empty, cl.done = true, true
		return
	}
	if code, ok := errorCode(p); ok {
		cl.code, cl.done = code, true
		return
	}
	switch cl.kind {
	case replyMonitor:
		cl.takeMonitor(p)
	case replyHex:
		if cl.gone {
			break
		}
		n, ok := packet.DecodeHex(cl.dst, p)
		if !ok {
			cl.err = fmt.Errorf("%w: %.20q… is not hex for at most %d bytes", errCorrupt, p, len(cl.dst))
		}
		cl.n = n
	default:
		cl.raw = append(cl.raw[:0], p...)
	}
}

// takeMonitor takes one of a monitor command's replies: output as O packets,
// then OK, or all the output as plain hex.
func (cl *call) takeMonitor(p []byte) {
	if string(p) == "OK" {
		cl.done = true
		return
	}
	text, more := outputPacket(p)
	if !more {
		text = make([]byte, len(p)/2)
		if _, ok := packet.DecodeHex(text, p); !ok {
			cl.err = fmt.Errorf("%w: %.20q… is no monitor output", errCorrupt, p)
			return
		}
		cl.done = true
	}
	if len(cl.raw)+len(text) > maxMonitor {
		cl.err = fmt.Errorf("%w: more than %d bytes of monitor output", errCorrupt, maxMonitor)
		return
	}
	cl.raw = append(cl.raw, text...)
}
