package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/guard"
)

// errGuardLost ends a session whose guard died: nobody would give the guest
// back if this process died too.
var errGuardLost = errors.New("the guard process was killed, so the guest was given back at once; run ukdbg again")

// guarded returns a context that ends when the guard is lost, and what to call
// then. Its cause is errGuardLost.
func guarded(ctx context.Context) (_ context.Context, lost func(), cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	return ctx, func() { end(errGuardLost) }, func() { end(nil) }
}

// lostFirst is errGuardLost where err only follows from it.
func lostFirst(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errGuardLost) {
		return cause
	}
	return err
}

// guardOptions are what the flags and the environment say of the guard.
func (f *targetFlags) guardOptions(e env, lost func()) guard.Options {
	return guard.Options{
		Command: e.guard, State: guard.StateDir(e.getenv), Verb: f.verb, Lost: lost,
		Told: func(r guard.Report) {
			fmt.Fprintf(e.err, "ukdbg: finished what an earlier session (process %d, %s) left behind: %s\n", r.Client.PID, r.Verb, r)
		},
	}
}
