package delivery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/ukdbg/ukdbg/exporters/spool"
)

const defaultPatience = time.Minute

// PushOptions say how a sequence is sent.
type PushOptions struct {
	Options
	// Patience is how long a receiver that is away is waited for, 1 min if 0.
	// Negative: no attempt is repeated.
	Patience time.Duration
}

// Push sends the batches in order and returns what became of them. A batch's
// payload need be valid until the next one is asked for.
//
// Without a spool Push ends at the first batch that cannot be delivered, with an
// *Error; no further ones are taken from the sequence. With a spool it goes on
// while there is room in it, and the error tells what waits.
func Push(ctx context.Context, batches iter.Seq2[Batch, error], opt PushOptions) (Stats, error) {
	if opt.Patience == 0 {
		opt.Patience = defaultPatience
	}
	if opt.Spool == nil && opt.MaxMemory == 0 {
		opt.MaxMemory = math.MaxInt64 // of the one batch that is sent
	}
	p := &pusher{newOutbox(opt.Options), opt.Patience}
	err := p.push(ctx, batches)
	// What is kept is sent, unless that is what failed.
	if failed := (*Error)(nil); p.out.Spool != nil && !errors.As(err, &failed) {
		if derr := p.drain(ctx, true); err == nil {
			err = derr
		}
	}
	return p.end(), err
}

// pusher sends from the goroutine that makes the batches.
type pusher struct {
	out      *outbox
	patience time.Duration
}

func (p *pusher) push(ctx context.Context, batches iter.Seq2[Batch, error]) error {
	for b, err := range batches {
		if err != nil {
			return err
		}
		if err := p.keep(ctx, b); err != nil {
			return err
		}
		// Without a spool there is nowhere to keep it: it is waited for.
		if err := p.drain(ctx, p.out.Spool == nil); err != nil {
			return err
		}
	}
	return nil
}

// keep waits for the receiver while the spool is full.
func (p *pusher) keep(ctx context.Context, b Batch) error {
	for {
		err := p.out.keep(b)
		if !errors.Is(err, spool.ErrFull) {
			return err
		}
		if waiting, _ := p.out.Spool.Waiting(); waiting == 0 {
			return err // it does not fit into the empty spool either
		}
		if _, serr := p.send(ctx, true); serr != nil {
			return fmt.Errorf("%w (%w)", serr, err)
		}
	}
}

// drain sends until nothing waits. Without wait it ends as soon as the receiver
// is away.
func (p *pusher) drain(ctx context.Context, wait bool) error {
	for {
		if !wait && time.Now().Before(p.out.retry) {
			return nil
		}
		if more, err := p.send(ctx, wait); !more || err != nil {
			return err
		}
	}
}

// send tries to deliver the oldest batch: once, or with wait until it is taken
// or patience ends. It reports whether more may be sent.
func (p *pusher) send(ctx context.Context, wait bool) (more bool, err error) {
	for {
		if d := time.Until(p.out.retry); wait && d > 0 {
			if since := p.out.stats.Away; !since.IsZero() && time.Now().Add(d).Sub(since) > p.patience {
				return false, p.fail(true, p.out.last)
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return false, p.fail(true, errors.Join(ctx.Err(), p.out.last))
			}
		}
		out, err := p.out.attempt(ctx)
		var passing *Passing
		switch {
		case out == empty:
			return false, nil
		case out == sent:
			return true, err
		case out == refused && p.out.Spool != nil:
			return true, nil // set aside, and told in a note
		case !errors.As(err, &passing):
			return false, p.fail(false, err)
		case ctx.Err() != nil:
			return false, p.fail(true, err)
		case !wait:
			return false, nil
		}
	}
}

func (p *pusher) fail(passing bool, err error) error {
	e := &Error{Receiver: p.out.Name, Attempts: max(p.out.tries, 1), Passing: passing, Err: err}
	if p.out.Spool != nil {
		e.Waiting, _ = p.out.Spool.Waiting()
		e.Spool = p.out.Spool.Dir()
	}
	return e
}

// end counts what is in memory as failed: nobody sends it any more.
func (p *pusher) end() Stats {
	s := p.out.snapshot()
	for _, e := range p.out.waiting {
		if e.memory != nil {
			s.Failed += e.items
			s.Waiting--
			s.WaitingBytes -= e.size
		}
	}
	s.InMemory = 0
	return s
}
