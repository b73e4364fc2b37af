package gdbstub

import (
	"fmt"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// Events wait in a queue of bounded size until the consumer takes them, so that
// a slow consumer never holds up the link. Console text beyond maxText is
// dropped, and the place is marked.
const (
	maxText   = 4 << 20
	maxEvents = 4096
	mergeText = 64 << 10 // adjacent output is one event up to this size
)

type eventQueue struct {
	mu      sync.Mutex
	list    []target.Event
	text    int // bytes of output in list
	dropped int // bytes of output not in list
	closed  bool
	last    bool // the channel closes once list is empty
	held    bool // Halt takes them, not the channel
	more    chan struct{}
	done    chan struct{}
	out     chan target.Event
}

func newEventQueue() *eventQueue {
	q := &eventQueue{more: make(chan struct{}, 1), done: make(chan struct{}), out: make(chan target.Event, 16)}
	go q.pump()
	return q
}

// add queues e. It never blocks.
func (q *eventQueue) add(e target.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.last {
		return
	}
	switch {
	case e.Kind == target.EventOutput && !q.addOutput(e):
		return
	case e.Kind != target.EventOutput:
		q.flushDropped(e.Time)
		if len(q.list) >= maxEvents {
			// Run state matters most where it is newest.
			q.list = append(q.list[:0], q.list[1:]...)
		}
		q.list = append(q.list, e)
		q.last = e.Kind == target.EventLost
	}
	if !q.held {
		q.signal()
	}
}

func (q *eventQueue) signal() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// hold says whether Halt takes the events.
func (q *eventQueue) hold(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held = on; !on {
		q.signal()
	}
}

func (q *eventQueue) isHeld() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}

// pass takes an event for the channel.
func (q *eventQueue) pass() (e target.Event, ok, last bool) {
	if q.isHeld() {
		return e, false, false
	}
	return q.take()
}

func (q *eventQueue) addOutput(e target.Event) bool {
	if q.text+len(e.Text) > maxText || len(q.list) >= maxEvents {
		q.dropped += len(e.Text)
		return false
	}
	q.flushDropped(e.Time)
	q.text += len(e.Text)
	if n := len(q.list); n > 0 && q.list[n-1].Kind == target.EventOutput && len(q.list[n-1].Text)+len(e.Text) <= mergeText {
		q.list[n-1].Text = append(q.list[n-1].Text, e.Text...)
		return true
	}
	q.list = append(q.list, e)
	return true
}

// flushDropped marks the place where output is missing.
func (q *eventQueue) flushDropped(now time.Time) {
	if q.dropped == 0 {
		return
	}
	note := fmt.Sprintf("\n[%d bytes of output dropped]\n", q.dropped)
	q.dropped = 0
	q.text += len(note)
	q.list = append(q.list, target.Event{Kind: target.EventOutput, Time: now, Text: []byte(note)})
}

// pump hands events to the consumer in order.
func (q *eventQueue) pump() {
	defer close(q.out)
	for {
		e, ok, last := q.pass()
		if !ok {
			if last {
				return
			}
			select {
			case <-q.more:
				continue
			case <-q.done:
				return
			}
		}
		select {
		case q.out <- e:
		case <-q.done:
			// Nobody may be there to take it: whoever left has had the answer.
			select {
			case q.out <- e:
			default:
			}
			return
		}
	}
}

func (q *eventQueue) take() (e target.Event, ok, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		return e, false, q.last
	}
	e = q.list[0]
	q.list = append(q.list[:0], q.list[1:]...)
	q.text -= len(e.Text)
	return e, true, false
}

// close ends the channel.
func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.done)
	}
}

// Events delivers what happens to the guest, in order. The channel is closed
// after EventLost and by Leave and Close.
func (c *Client) Events() <-chan target.Event { return c.events.out }

// event queues e with the present time; mu is held or not.
func (c *Client) event(e target.Event) {
	e.Time = time.Now()
	c.events.add(e)
}
