package repl

import (
	"context"
	"sync"
)

// interrupts turns ^C into what it means just now: stop what runs, or, twice
// with nothing running, leave.
type interrupts struct {
	mu    sync.Mutex
	guard context.CancelFunc // ends what runs, nil if nothing does
	idle  int                // ^C in a row with nothing running
}

// Interrupt is ^C. It may be called from another goroutine, such as one that
// waits for signals.
func (r *REPL) Interrupt() {
	r.ints.mu.Lock()
	defer r.ints.mu.Unlock()
	if r.ints.guard != nil {
		r.ints.guard()
		return
	}
	if r.ints.idle++; r.ints.idle >= 2 && r.opt.Leave != nil {
		r.opt.Leave()
	}
}

// guarded returns a context that ^C ends, so that it stops the guest and not
// ukdbg. The function ends the guard.
func (r *REPL) guarded(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	r.ints.mu.Lock()
	r.ints.guard, r.ints.idle = cancel, 0
	r.ints.mu.Unlock()
	return ctx, func() {
		r.ints.mu.Lock()
		r.ints.guard = nil
		r.ints.mu.Unlock()
		cancel()
	}
}
