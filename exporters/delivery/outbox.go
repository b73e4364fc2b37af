package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ukdbg/ukdbg/exporters/spool"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultMaxMemory = 16 << 20
	firstBackoff     = 250 * time.Millisecond
	maxBackoff       = 10 * time.Second
	// finalBackoff is between attempts at a receiver that says it takes nothing: a
	// person has to change something first.
	finalBackoff = time.Minute
	// maxAsked is the longest wait a receiver is granted that asks for one.
	maxAsked = 15 * time.Minute
)

// Options say how batches are kept and sent.
type Options struct {
	// Name is the receiver's, for errors; it has no password in it.
	Name   string
	Sender Sender
	// Spool, if not nil, keeps each batch on disk until it is taken. What an
	// earlier process left there is sent first. The caller closes it, after the
	// queue.
	Spool *spool.Spool
	// MaxMemory is how many bytes of payload wait in memory: all without a spool,
	// with one what its disk did not take. 16 MiB if 0.
	MaxMemory int64
	// Timeout bounds one attempt, 10 s if 0.
	Timeout time.Duration
}

// outbox holds batches and sends the oldest. Only one goroutine sends.
type outbox struct {
	Options

	mu      sync.Mutex // held for as long as a batch is written to disk
	waiting []entry    // oldest first
	memory  int64      // bytes of those that are in memory
	stats   Stats

	// Of the goroutine that sends: the next attempt is at retry.
	retry   time.Time
	backoff time.Duration
	tries   int   // at the oldest batch
	last    error // that the receiver is away for
	apart   int   // how many of the oldest batches go alone

	// joins tells whether batches are sent in one request, nil for never.
	joins func(Signal) bool
}

// Batches are joined up to this size, which receivers take.
const (
	maxJoined      = 2 << 20
	maxJoinedItems = 4096
)

// entry is a batch that waits, in memory or on disk.
type entry struct {
	memory  *Batch
	number  spool.Number
	items   int
	size    int64
	earlier bool // left by an earlier process: its items were not counted
}

func newOutbox(opt Options) *outbox {
	if opt.Timeout == 0 {
		opt.Timeout = defaultTimeout
	}
	if opt.MaxMemory == 0 {
		opt.MaxMemory = defaultMaxMemory
	}
	o := &outbox{Options: opt, backoff: firstBackoff}
	if opt.Spool != nil {
		if err := opt.Spool.Pending(); err != nil {
			o.stats.DiskError = err.Error()
		}
		for _, n := range opt.Spool.Kept() {
			o.waiting = append(o.waiting, entry{number: n, earlier: true})
		}
	}
	return o
}

// keep takes a batch, to disk if there is a spool and else to memory. The error
// is ErrFull of the spool, that of the disk, or errNoMemory.
func (o *outbox) keep(b Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := entry{items: b.Items, size: int64(len(b.Payload))}
	var diskErr error
	if o.Spool != nil {
		var err error
		e.number, err = o.Spool.Add(spool.Batch{Kind: uint32(b.Signal), Items: b.Items, Payload: b.Payload})
		switch {
		case errors.Is(err, spool.ErrFull):
			return err
		case err != nil:
			diskErr = err
			o.stats.DiskError = err.Error()
			o.stats.Unspooled++
		default:
			o.stats.DiskError = ""
		}
	}
	if o.Spool == nil || diskErr != nil {
		if o.memory+e.size > o.MaxMemory {
			return errors.Join(diskErr, errNoMemory)
		}
		b.Payload = slices.Clone(b.Payload)
		e.memory = &b
		o.memory += e.size
	}
	o.waiting = append(o.waiting, e)
	o.stats.Items += b.Items
	o.stats.Batches++
	o.stats.Bytes += e.size
	return nil
}

var errNoMemory = errors.New("no room is left in memory")

// gather reads the batches that are next, as many as make one request; n is their
// number, 0 if there are none. An error is that of the disk, and may pass.
func (o *outbox) gather() (b Batch, n int, err error) {
	for ok := false; !ok; {
		if o.count() == 0 {
			return b, 0, nil
		}
		if b, ok, err = o.read(0); err != nil {
			return b, 0, err
		}
	}
	n = 1
	if o.apart > 0 || o.joins == nil || !o.joins(b.Signal) {
		return b, n, nil
	}
	for n < o.count() {
		next, ok, err := o.read(n)
		if err != nil {
			break
		}
		if !ok {
			continue // it is not there any more
		}
		if next.Signal != b.Signal || len(b.Payload)+len(next.Payload) > maxJoined || b.Items+next.Items > maxJoinedItems {
			break
		}
		if n == 1 {
			b.Payload = slices.Clone(b.Payload) // of the batch that waits
		}
		b.Payload = append(b.Payload, next.Payload...)
		b.Items += next.Items
		n++
	}
	return b, n, nil
}

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// read reads a batch that waits. One that is damaged is set aside, and not ok.
func (o *outbox) read(i int) (b Batch, ok bool, err error) {
	o.mu.Lock()
	e := o.waiting[i]
	o.mu.Unlock()
	if e.memory != nil {
		return *e.memory, true, nil
	}
	f, err := o.Spool.Read(e.number)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.waiting[i].items = f.Items
		return Batch{Signal: Signal(f.Kind), Items: f.Items, Payload: f.Payload}, true, nil
	}
	if !errors.Is(err, spool.ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
		return Batch{}, false, err
	}
	name, aerr := o.Spool.SetAside(e.number, "damaged")
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed(err)
	if aerr == nil {
		o.stats.note(fmt.Sprintf("a damaged file in the spool is left as %s", name))
	}
	o.stats.drop(DropDamaged, e.items)
	o.waiting = slices.Delete(o.waiting, i, i+1)
	return Batch{}, false, nil
}

// pop forgets the oldest entry.
func (o *outbox) pop() {
	if e := o.waiting[0]; e.memory != nil {
		o.memory -= e.size
	}
	o.waiting[0] = entry{}
	o.waiting = o.waiting[1:]
	o.apart = max(o.apart-1, 0)
}

// failed remembers a failure.
func (o *outbox) failed(err error) {
	o.stats.LastError, o.stats.LastErrorTime = err.Error(), time.Now()
}

// outcome is what an attempt came to.
type outcome uint8

const (
	empty   outcome = iota // nothing waits
	sent                   // the receiver took what was next
	refused                // it will never take it; it waits no more, or is sent again in parts
	away                   // it takes none now; the next attempt is planned
)

// attempt sends what is next once. The error is the receiver's if it refused or is
// away, else one of the disk.
func (o *outbox) attempt(ctx context.Context) (outcome, error) {
	b, n, err := o.gather()
	if err != nil {
		err = &Passing{Err: err}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failed(err)
		o.missed(err)
		return away, err
	}
	if n == 0 {
		return empty, nil
	}
	sctx, cancel := context.WithTimeout(ctx, o.Timeout)
	reply, err := o.Sender.Send(sctx, b)
	cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tries > 0 {
		o.stats.Retries++
	}
	o.tries++
	if err == nil {
		return sent, o.taken(reply, n)
	}
	o.failed(err)
	if never := (*Refused)(nil); errors.As(err, &never) {
		o.answered()
		if n > 1 {
			o.apart = n // to find out which it is
			return refused, err
		}
		return refused, errors.Join(err, o.refuse(err))
	}
	o.missed(err)
	return away, err
}

// answered notes that the receiver is there.
func (o *outbox) answered() {
	o.stats.Away, o.retry, o.backoff, o.tries = time.Time{}, time.Time{}, firstBackoff, 0
}

// taken accounts for the n oldest batches, which the receiver acknowledged, and
// forgets them.
func (o *outbox) taken(r Reply, n int) error {
	var errs []error
	o.stats.LastTaken = time.Now()
	left := max(r.Rejected, 0)
	for range n {
		e := o.waiting[0]
		// A receiver cannot reject more than it was sent.
		rejected := int(min(left, int64(e.items)))
		left -= int64(rejected)
		o.stats.Rejected += rejected
		if e.earlier {
			o.stats.Replayed += e.items - rejected
		} else {
			o.stats.Accepted += e.items - rejected
		}
		o.pop()
		if e.memory == nil {
			errs = append(errs, o.Spool.Remove(e.number))
		}
	}
	o.stats.note(r.Message)
	o.answered()
	return errors.Join(errs...)
}

// refuse sets the oldest batch aside, which the receiver will never take.
func (o *outbox) refuse(err error) error {
	e := o.waiting[0]
	if !e.earlier {
		o.stats.Failed += e.items
	}
	o.pop()
	if e.memory != nil {
		return nil
	}
	name, aerr := o.Spool.SetAside(e.number, "refused")
	if aerr != nil {
		return aerr
	}
	o.stats.note(fmt.Sprintf("%v; the batch is left as %s", err, name))
	return nil
}

// missed plans the next attempt.
func (o *outbox) missed(err error) {
	o.last = err
	now := time.Now()
	if o.stats.Away.IsZero() {
		o.stats.Away = now
	}
	var p *Passing
	if !errors.As(err, &p) {
		o.retry = now.Add(finalBackoff)
		return
	}
	// Jitter on the upper half keeps a herd of agents apart.
	wait := o.backoff/2 + rand.N(o.backoff/2)
	if p.After > 0 {
		wait = min(p.After, maxAsked)
	}
	o.backoff = min(2*o.backoff, maxBackoff)
	o.retry = now.Add(wait)
}

// snapshot returns the counts as they are.
func (o *outbox) snapshot() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.stats.clone()
	s.Waiting = len(o.waiting)
	for _, e := range o.waiting {
		if e.memory != nil {
			s.InMemory++
		}
	}
	s.WaitingBytes = o.memory
	if o.Spool != nil {
		_, bytes := o.Spool.Waiting()
		s.WaitingBytes += bytes
	}
	return s
}
