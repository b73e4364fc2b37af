package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// Endpoint is where a receiver listens.
type Endpoint struct {
	// URL is grpc://HOST:PORT, grpcs://HOST:PORT, http://HOST:PORT or
	// https://HOST:PORT. An http URL without a path gets /v1/traces.
	URL string
	// Headers are sent with every request (authentication, tenant).
	Headers map[string]string
	// TLS configures grpcs and https; nil is the system's roots.
	TLS *tls.Config
	// Timeout bounds one request, 10 s if 0.
	Timeout time.Duration
	// Patience bounds the retries of one batch, 1 min if 0. Negative: no retry.
	Patience time.Duration
	// Spool, if set, keeps every batch on disk until the receiver has taken it,
	// so that nothing is lost while the receiver is away, nor when this process
	// is killed. What an earlier process left is sent first.
	Spool *Spool
}

const (
	defaultTimeout  = 10 * time.Second
	defaultPatience = time.Minute
	firstBackoff    = 250 * time.Millisecond
	maxBackoff      = 10 * time.Second
)

// DeliveryError says that a batch could not be delivered.
type DeliveryError struct {
	// Endpoint is where it was sent, Attempts how often.
	Endpoint string
	Attempts int
	// Retryable says that the last failure was a passing one.
	Retryable bool
	Err       error
	// Waiting is how many batches are left in the folder Spool; the next Push
	// with that spool sends them.
	Waiting int
	Spool   string
}

func (e *DeliveryError) Error() string {
	kept := ""
	if e.Waiting > 0 {
		kept = fmt.Sprintf("; %d batches wait in %s and are sent the next time", e.Waiting, e.Spool)
	}
	if e.Retryable {
		return fmt.Sprintf("sending spans to %s: gave up after %d attempts: %v%s", e.Endpoint, e.Attempts, e.Err, kept)
	}
	return fmt.Sprintf("sending spans to %s: %v%s", e.Endpoint, e.Err, kept)
}

func (e *DeliveryError) Unwrap() error { return e.Err }

// reply is a receiver's answer to one export.
type reply struct {
	rejected int64
	message  string
}

// transport sends one encoded export request.
type transport interface {
	export(ctx context.Context, request []byte) (reply, error)
	close()
}

// passing is a failure that may be gone later.
type passing struct {
	err error
	// after is how long the receiver asked to wait, 0 if it did not say.
	after time.Duration
}

func (e *passing) Error() string { return e.err.Error() }
func (e *passing) Unwrap() error { return e.err }

// Push sends the spans in order, batch after batch, and returns what became of
// them. A batch is sent again while the receiver's failure is a passing one and
// patience lasts. At the first batch that cannot be delivered Push ends with a
// *DeliveryError; spans not yet taken from the sequence were not sent. With a
// spool Push goes on while there is room in it, and the error tells what waits.
func Push(ctx context.Context, ep Endpoint, spans iter.Seq2[exporters.Span, error], opt Options) (Stats, error) {
	if ep.Timeout == 0 {
		ep.Timeout = defaultTimeout
	}
	if ep.Patience == 0 {
		ep.Patience = defaultPatience
	}
	t, name, err := dial(ep)
	if err != nil {
		return Stats{}, err
	}
	defer t.close()
	ep.URL = name
	if ep.Spool != nil {
		return pushSpooled(ctx, t, ep, spans, opt)
	}

	var stats Stats
	err = batches(spans, opt, func(request []byte, n int) error {
		stats.Spans += n
		stats.Batches++
		stats.Bytes += int64(len(request))
		r, attempts, err := deliver(ctx, t, ep, request)
		stats.Retries += attempts - 1
		if err != nil {
			stats.Failed += n
			return err
		}
		// A receiver cannot reject more than it was sent.
		rejected := int(min(max(r.rejected, 0), int64(n)))
		stats.Rejected += rejected
		stats.Accepted += n - rejected
		stats.note(r.message)
		return nil
	})
	return stats, err
}

// deliver sends one request until it is accepted, the failure is final, or
// patience ends.
func deliver(ctx context.Context, t transport, ep Endpoint, request []byte) (r reply, attempts int, err error) {
	begin := time.Now()
	backoff := firstBackoff
	for {
		attempts++
		rctx, cancel := context.WithTimeout(ctx, ep.Timeout)
		r, err = t.export(rctx, request)
		cancel()
		if err == nil {
			return r, attempts, nil
		}
		var p *passing
		retryable := errors.As(err, &p)
		fail := &DeliveryError{Endpoint: ep.URL, Attempts: attempts, Retryable: retryable, Err: err}
		if !retryable || ctx.Err() != nil {
			return r, attempts, fail
		}
		// Full jitter on the upper half keeps a herd of agents apart.
		wait := backoff/2 + rand.N(backoff/2)
		if p.after > 0 {
			wait = p.after
		}
		backoff = min(2*backoff, maxBackoff)
		if time.Since(begin)+wait > ep.Patience {
			return r, attempts, fail
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			fail.Err = errors.Join(ctx.Err(), err)
			return r, attempts, fail
		}
	}
}
