package otlp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// sender sends what waits in a spool, oldest first.
type sender struct {
	spool *Spool
	t     transport
	ep    Endpoint
	stats *Stats

	// away is when the receiver was found away, zero while it answers; the next
	// attempt is at retry.
	away    time.Time
	retry   time.Time
	backoff time.Duration
	tries   int
	last    error
}

// pushSpooled keeps every batch in the spool until the receiver has taken it.
// While the receiver is away it goes on as long as there is room.
func pushSpooled(ctx context.Context, t transport, ep Endpoint, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	var stats Stats
	s := &sender{spool: ep.Spool, t: t, ep: ep, stats: &stats, backoff: firstBackoff}
	err := batches(spans, opt, func(request []byte, n int) error {
		err := s.spool.add(request, n)
		for errors.Is(err, ErrSpoolFull) {
			if waiting, _ := s.spool.Waiting(); waiting == 0 {
				break // it does not fit into the empty spool either
			}
			if werr := s.sendOldest(ctx, true); werr != nil {
				return fmt.Errorf("%w (%w)", werr, err)
			}
			err = s.spool.add(request, n)
		}
		if err != nil {
			return err
		}
		stats.Spans += n
		stats.Batches++
		stats.Bytes += int64(len(request))
		return s.drain(ctx, false)
	})
	if derr := s.drain(ctx, true); err == nil {
		err = derr
	}
	s.stats.Waiting, _ = s.spool.Waiting()
	return stats, err
}

// drain sends until nothing waits. Without wait it ends as soon as the receiver
// is away.
func (s *sender) drain(ctx context.Context, wait bool) error {
	for {
		if waiting, _ := s.spool.Waiting(); waiting == 0 {
			return nil
		}
		if !wait && time.Now().Before(s.retry) {
			return nil
		}
		if err := s.sendOldest(ctx, wait); err != nil {
			return err
		}
		if !wait && !s.away.IsZero() {
			return nil
		}
	}
}

// sendOldest tries to deliver the oldest batch: once, or with wait until it is
// taken or patience ends.
func (s *sender) sendOldest(ctx context.Context, wait bool) error {
	request, n, err := s.spool.oldest()
	if errors.Is(err, errDamaged) {
		name, err := s.spool.setAside("damaged")
		s.stats.note(fmt.Sprintf("a damaged file in the spool is left as %s", filepath.Base(name)))
		return err
	}
	if err != nil {
		return err
	}
	for {
		if d := time.Until(s.retry); wait && d > 0 {
			if !s.away.IsZero() && time.Now().Add(d).Sub(s.away) > s.ep.Patience {
				return s.fail(true, s.last)
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return s.fail(true, errors.Join(ctx.Err(), s.last))
			}
		}
		rctx, cancel := context.WithTimeout(ctx, s.ep.Timeout)
		r, err := s.t.export(rctx, request)
		cancel()
		s.tries++
		if err == nil {
			return s.taken(r, n)
		}
		s.last = err
		var p *passing
		switch {
		case errors.As(err, &p):
			s.missed(p.after)
			if !wait || ctx.Err() != nil {
				return ctx.Err()
			}
		case refusesData(err):
			name, aerr := s.spool.setAside("refused")
			s.stats.Failed += n
			s.stats.note(fmt.Sprintf("%v; the batch is left as %s", err, filepath.Base(name)))
			return aerr
		default:
			return s.fail(false, err)
		}
	}
}

// taken accounts for a batch that the receiver acknowledged.
func (s *sender) taken(r reply, n int) error {
	earlier := s.spool.queue[0].earlier
	if err := s.spool.done(); err != nil {
		return err
	}
	rejected := int(min(max(r.rejected, 0), int64(n)))
	s.stats.Rejected += rejected
	if earlier {
		s.stats.Replayed += n - rejected
	} else {
		s.stats.Accepted += n - rejected
	}
	s.stats.note(r.message)
	s.away, s.retry, s.backoff, s.tries = time.Time{}, time.Time{}, firstBackoff, 0
	return nil
}

// missed plans the next attempt.
func (s *sender) missed(after time.Duration) {
	s.stats.Retries++
	if s.away.IsZero() {
		s.away = time.Now()
	}
	wait := s.backoff/2 + rand.N(s.backoff/2)
	if after > 0 {
		wait = after
	}
	s.backoff = min(2*s.backoff, maxBackoff)
	s.retry = time.Now().Add(wait)
}

func (s *sender) fail(retryable bool, err error) error {
	waiting, _ := s.spool.Waiting()
	return &DeliveryError{Endpoint: s.ep.URL, Attempts: s.tries, Retryable: retryable, Err: err, Waiting: waiting, Spool: s.spool.dir}
}

// refusesData tells whether a receiver will never take this very batch, unlike
// one that takes none because of its address or the credentials.
func refusesData(err error) bool {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Code == codeInvalidArgument
	}
	var h *HTTPError
	return errors.As(err, &h) && (h.Code == http.StatusBadRequest || h.Code == http.StatusRequestEntityTooLarge || h.Code == http.StatusUnprocessableEntity)
}
