package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/exporters/spool"
)

// Queue keeps batches and sends them. It is safe for concurrent use.
type Queue struct {
	out *outbox

	wake    chan struct{} // a batch came
	again   chan struct{} // the next attempt is to be now
	closing chan struct{}
	cancel  context.CancelFunc // ends an attempt
	ended   chan struct{}

	once   sync.Once
	mu     sync.RWMutex // held while a batch is put
	closed bool
}

// New starts a queue. Close it.
func New(opt Options) *Queue {
	ctx, cancel := context.WithCancel(context.Background())
	out := newOutbox(opt)
	if j, ok := opt.Sender.(Joiner); ok {
		out.joins = j.Joins
	}
	q := &Queue{out: out, wake: make(chan struct{}, 1), again: make(chan struct{}, 1), closing: make(chan struct{}), cancel: cancel, ended: make(chan struct{})}
	go q.run(ctx)
	return q
}

// Put keeps a batch to be sent; the payload is the caller's again when Put
// returns. It never waits for the receiver, at most for a write to disk. An error
// is ErrDropped (errors.Is) with its reason, which Stats counts, too.
func (q *Queue) Put(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.out.dropped(DropClosed, b.Items)
		return fmt.Errorf("%w: %w", ErrDropped, ErrClosed)
	}
	if err := q.out.keep(b); err != nil {
		why := DropFull
		if !errors.Is(err, spool.ErrFull) && q.out.Spool != nil {
			why = DropDisk
		}
		q.out.dropped(why, b.Items)
		return fmt.Errorf("%w: %w", ErrDropped, err)
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// Retry has what waits tried now, whenever the next attempt was planned: what kept the
// receiver from taking it may be mended.
func (q *Queue) Retry() {
	select {
	case q.again <- struct{}{}:
	default:
	}
}

// Stats tells what became of the batches so far.
func (q *Queue) Stats() Stats { return q.out.snapshot() }

// Close takes no more batches and sends those that wait until there are none or
// ctx ends. What is left in a spool is for the next process; what is left in
// memory is dropped. Both are told as an *Error.
func (q *Queue) Close(ctx context.Context) error {
	q.once.Do(func() {
		q.mu.Lock()
		q.closed = true
		q.mu.Unlock()
		close(q.closing)
	})
	select {
	case <-q.ended:
	case <-ctx.Done():
		q.cancel()
		<-q.ended
	}
	q.cancel()
	return q.out.leave()
}

// run sends until the queue is closed and empty, or ctx ends.
func (q *Queue) run(ctx context.Context) {
	defer close(q.ended)
	closing := q.closing
	for ctx.Err() == nil {
		var later <-chan time.Time
		if wait := time.Until(q.out.retry); wait > 0 {
			later = time.After(wait)
		} else if out, _ := q.out.attempt(ctx); out != empty { // Stats has the error
			continue
		} else if closing == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-later:
		case <-q.again:
			q.out.retry = time.Time{}
		case <-q.woken(later):
		case <-closing:
			// The last chance: what waits is tried now, whenever the next attempt
			// was planned.
			closing, q.out.retry = nil, time.Time{}
		}
	}
}

// woken is the channel of new batches, which do not shorten a wait for the
// receiver.
func (q *Queue) woken(later <-chan time.Time) <-chan struct{} {
	if later != nil {
		return nil
	}
	return q.wake
}

// moved brings a batch from memory to disk.
func (o *outbox) moved(e *entry) bool {
	if o.Spool == nil {
		return false
	}
	n, err := o.Spool.Add(spool.Batch{Kind: uint32(e.memory.Signal), Items: e.items, Payload: e.memory.Payload})
	if err != nil {
		return false
	}
	e.memory, e.number = nil, n
	return true
}

// dropped counts items that were put and are not kept.
func (o *outbox) dropped(why string, items int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stats.Items += items
	o.stats.drop(why, items)
}

// leave brings what is in memory to disk, where there is one that takes it by now, and
// drops the rest; it tells what waits.
func (o *outbox) leave() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	lost := 0
	left := o.waiting[:0]
	for _, e := range o.waiting {
		if e.memory != nil && !o.moved(&e) {
			lost += e.items
			o.stats.drop(DropClosed, e.items)
			continue
		}
		left = append(left, e)
	}
	o.waiting, o.memory = left, 0
	if lost == 0 && len(o.waiting) == 0 {
		return nil
	}
	e := &Error{Receiver: o.Name, Attempts: o.tries, Passing: true, Waiting: len(o.waiting), Err: errors.New("not all was sent in time")}
	if o.stats.LastError != "" && !o.stats.Away.IsZero() {
		e.Err = errors.New(o.stats.LastError)
	}
	if lost > 0 {
		e.Err = fmt.Errorf("%w; %d items were in memory only: %w", e.Err, lost, ErrDropped)
	}
	if o.Spool != nil {
		e.Spool = o.Spool.Dir()
	}
	return e
}
