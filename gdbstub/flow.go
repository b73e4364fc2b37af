package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// maxInFlight bounds the requests in flight. Four are enough to keep a stub
// busy with large reads (more gain nothing on QEMU); small ones profit from
// more.
const (
	maxInFlight    = 32
	cappedInFlight = 12 // where a stop has a cap
	bytesInFlight  = 4  // times the largest m

	// monitorPatience is how long a monitor command may be silent: saving a
	// snapshot takes its time.
	monitorPatience = 10 * time.Minute
)

// flow is a sequence of requests whose replies are awaited together. next
// prepares a call and appends its packet's payload, or reports false when
// there is nothing to send before further replies are in; size is the reply's
// expected size in bytes. done takes a finished call, in order; its error ends
// the flow.
type flow interface {
	next(cl *call, payload []byte) (out []byte, size int, ok bool)
	done(cl *call) error
}

// exchange runs f over a stopped guest. When it returns, every call of f was
// handed to done or is abandoned, so that nothing of the caller's is written
// to any more.
func (c *Client) exchange(ctx context.Context, f flow) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	return c.flow(ctx, f)
}

// ready waits until a request can be sent.
func (c *Client) ready(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.err != nil:
			return c.err
		case c.run.running && c.cap.lapsed:
			c.foresight.unforeseen()
			return target.ErrLapsed
		case c.run.running:
			return ErrRunning
		case c.run.exited:
			return fmt.Errorf("%w: the guest has ended", target.ErrLost)
		case !c.sync.active && (c.prof.pipelining || len(c.pending) == 0):
			return nil
		}
		if err := c.waitLocked(ctx); err != nil {
			return err
		}
	}
}

// window is the requests in flight of one flow, oldest first.
type window struct {
	calls   [maxInFlight]*call
	sizes   [maxInFlight]int
	head, n int
	bytes   int // expected in replies, decoded
	// wide: nothing waits behind them.
	wide bool
}

func (w *window) push(cl *call, size int) {
	i := (w.head + w.n) % maxInFlight
	w.calls[i], w.sizes[i] = cl, size
	w.n++
	w.bytes += size
}

func (w *window) oldest() *call { return w.calls[w.head] }

func (w *window) pop() *call {
	cl := w.oldest()
	w.bytes -= w.sizes[w.head]
	w.head = (w.head + 1) % maxInFlight
	w.n--
	return cl
}

// abandon leaves the answers to nobody; Client.mu is held.
func (w *window) abandon() {
	for ; w.n > 0; w.pop() {
		w.oldest().abandon()
	}
}

// flow sends f's requests and awaits their replies.
func (c *Client) flow(ctx context.Context, f flow) error {
	var w window
	return c.goOnWith(ctx, f, &w)
}

// goOnWith is flow for one of which the requests in w are on their way.
func (c *Client) goOnWith(ctx context.Context, f flow, w *window) error {
	var failed error
	for {
		if failed == nil {
			if err := c.fill(f, w); errors.Is(err, target.ErrLapsed) {
				failed = err
			} else if err != nil {
				c.lose(err)
			}
		}
		if w.n == 0 {
			return failed
		}
		if err := c.await(ctx, w); err != nil {
			return err
		}
		for w.n > 0 && c.isDone(w.oldest()) {
			cl := w.pop()
			if err := f.done(cl); err != nil && failed == nil {
				failed = err
			}
			c.spare = append(c.spare, cl)
		}
	}
}

// fill sends as many of f's requests as the window has room for, in one write.
func (c *Client) fill(f flow, w *window) error {
	c.mu.Lock()
	capped := c.opt.Lease != nil || c.opt.MaxPause > 0
	var stop uint32
	ended := c.cap.lapsed && c.run.running
	if capped && !ended {
		var ok bool
		stop, ok = c.begin()
		ended = !ok
	}
	if ended {
		defer c.mu.Unlock()
		return c.cutShort(f, w)
	}
	alone := w.n == 0
	out := c.requests(f, w, c.wbuf[:0])
	c.wbuf = out
	if len(out) > 0 {
		if alone {
			c.stats.Flights++
		}
		if c.ack {
			c.lastOut = append(c.lastOut[:0], out...)
		}
	}
	if !capped {
		c.mu.Unlock()
		if len(out) == 0 {
			return nil
		}
		return c.write(out)
	}
	// No order to run may come between this and the requests being on their way.
	c.wmu.Lock()
	c.mu.Unlock()
	var err error
	if len(out) > 0 {
		err = c.send(out)
	}
	c.wmu.Unlock()
	c.end(stop)
	return err
}

// requests appends as many of f's requests as the window has room for, and takes them
// for sent; mu is held.
func (c *Client) requests(f flow, w *window, out []byte) []byte {
	n := len(out)
	for c.err == nil && !c.sync.active && c.room(w) {
		cl := c.takeCall()
		p, size, ok := f.next(cl, c.payload[:0])
		if !ok {
			c.spare = append(c.spare, cl)
			break
		}
		c.payload = p
		out = packet.Append(out, p)
		c.pending = append(c.pending, cl)
		c.stats.RoundTrips++
		w.push(cl, size)
	}
	if len(out) > n {
		c.lastRx = time.Now() // answers are due from now on
	}
	return out
}

// cutShort is target.ErrLapsed if f has more to ask, which a guest that was let run
// is not asked; mu is held.
func (c *Client) cutShort(f flow, w *window) error {
	if w.n > 0 {
		return nil // what is in flight is answered first
	}
	cl := c.takeCall()
	defer func() { c.spare = append(c.spare, cl) }()
	if _, _, more := f.next(cl, c.payload[:0]); more {
		return target.ErrLapsed
	}
	return nil
}

// await waits until the oldest request is done.
func (c *Client) await(ctx context.Context, w *window) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !w.oldest().done {
		if err := c.waitLocked(ctx); err != nil {
			w.abandon()
			return err
		}
	}
	return nil
}

func (c *Client) isDone(cl *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cl.done
}

// room reports whether one more request may be sent.
func (c *Client) room(w *window) bool {
	if w.n == 0 {
		return true
	}
	most := maxInFlight
	if w.wide {
		return w.n < most && w.bytes < 2*foreseenBytes
	}
	if c.opt.MaxPause > 0 {
		most = cappedInFlight // the order to run waits behind them
	}
	return c.prof.pipelining && w.n < most && w.bytes < bytesInFlight*c.chunk
}

func (c *Client) takeCall() *call {
	if n := len(c.spare); n > 0 {
		cl := c.spare[n-1]
		c.spare = c.spare[:n-1]
		return cl
	}
	return new(call)
}

// abandon gives the call's destination back to its owner; the reply is thrown
// away when it comes, which keeps the stream in step.
func (cl *call) abandon() {
	if !cl.done {
		cl.gone = true
		cl.dst = nil
	}
}

// waitLocked waits until something came, or was reported. It is called
// and returns with mu held. Silence for too long is acted upon.
func (c *Client) waitLocked(ctx context.Context) error {
	if c.err != nil {
		return c.err
	}
	patience := c.opt.ReplyTimeout - time.Since(c.lastRx)
	// What is asked while attaching takes no time, and the guest stands.
	if len(c.pending) > 0 && c.pending[0].kind == replyMonitor && !c.run.attaching {
		patience = monitorPatience
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	if patience <= 0 {
		c.silent()
		return nil
	}
	if c.direct != nil {
		return c.readFor(ctx, patience)
	}
	c.timer.Reset(patience)
	defer c.timer.Stop()
	select {
	case <-c.wake:
	case <-c.timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// signal wakes the owner; mu is held or not.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends bytes as they are.
func (c *Client) write(p []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.send(p)
}

// send is write with wmu held.
func (c *Client) send(p []byte) error {
	if err := c.link.SetWriteDeadline(time.Now().Add(c.opt.ReplyTimeout)); err != nil {
		return err
	}
	_, err := c.link.Write(p)
	return err
}

// ask is a flow of one request.
type ask struct {
	text string
	kind replyKind
	dst  []byte
	call *call
	sent bool
}

func (a *ask) next(cl *call, p []byte) ([]byte, int, bool) {
	if a.sent {
		return nil, 0, false
	}
	a.sent = true
	cl.reset(a.kind)
	cl.dst = a.dst
	return append(p, a.text...), 64, true
}

func (a *ask) done(cl *call) error {
	a.call = cl
	return cl.err
}

// request sends one text packet and returns the reply, valid until the next
// request. A refusal is a *StubError.
func (c *Client) request(ctx context.Context, text string) ([]byte, error) {
	a := ask{text: text}
	if err := c.exchange(ctx, &a); err != nil {
		return nil, err
	}
	return a.call.raw, a.call.refused(text)
}

// asks is a flow of several text requests, all in flight at once where the
// stub allows it.
type asks struct {
	list []ask
	sent int
	got  int
}

func (a *asks) next(cl *call, p []byte) ([]byte, int, bool) {
	if a.sent == len(a.list) {
		return nil, 0, false
	}
	q := &a.list[a.sent]
	a.sent++
	cl.reset(q.kind)
	cl.dst = q.dst
	return append(p, q.text...), 64, true
}

func (a *asks) done(cl *call) error {
	q := &a.list[a.got]
	a.got++
	// The call is used again for others; its result is not.
	q.call = &call{kind: cl.kind, n: cl.n, raw: append([]byte(nil), cl.raw...), code: cl.code, empty: cl.empty, err: cl.err}
	return cl.err
}
