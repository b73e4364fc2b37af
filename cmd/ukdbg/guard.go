package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guard"
)

// errGuardLost ends a session whose guard died: nobody would give the guest
// back if this process died too.
var errGuardLost = errors.New("the guard process was killed, so the guest is given back at once; run ukdbg again")

// guarded returns a context that ends when the guard is lost, and what to call
// then. Its cause is errGuardLost.
func guarded(ctx context.Context) (_ context.Context, lost func(), cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	return ctx, func() { end(errGuardLost) }, func() { end(nil) }
}

// lostFirst puts errGuardLost before an error that follows from it.
func lostFirst(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case !errors.Is(cause, errGuardLost), errors.Is(err, errGuardLost):
		return err
	case err == nil, errors.Is(err, context.Canceled):
		return cause
	}
	return errors.Join(errGuardLost, err)
}

// guardOptions are what the flags and the environment say of the guard.
func (f *targetFlags) guardOptions(e env, lost func()) guard.Options {
	return guard.Options{
		Command: e.guard, State: guard.StateDir(e.getenv), Verb: f.verb, Lost: lost,
		Monitor: f.stops.monitor, MaxPause: f.maxPause(), HungAfter: f.stops.hung, PauseBudget: f.stops.share,
		ReadOnly: f.stops.readOnly, AllowShutdown: f.stops.allowShutdown,
		Told: func(r guard.Report) {
			fmt.Fprintf(e.err, "ukdbg: finished what an earlier session (process %d, %s) left behind: %s\n", r.Client.PID, r.Verb, r)
		},
	}
}

// maxPause is the cap on one stop: where the guest is to run but for brief stops,
// there is always one.
func (f *targetFlags) maxPause() time.Duration {
	switch {
	case f.stops.max > 0 || !f.stops.brief(f.verb):
		return f.stops.max
	case f.verb == verbProfile:
		return profilePause
	}
	return ukdbg.DefaultMaxPause
}

// profilePause is the cap on a profile's samples where none is given: those of all
// threads' stacks take several round trips.
const profilePause = 20 * time.Millisecond

// hungAfter is how long a ukdbg that does not run may keep a guest stopped: one
// that is suspended by ^Z, debugged itself, swapped out or deadlocked.
const hungAfter = time.Minute

// stopFlags say what may be done to a guest.
type stopFlags struct {
	max           time.Duration
	budget        string
	hung          time.Duration
	share         float64 // budget, as a part of 1
	monitor       string
	readOnly      bool
	allowShutdown bool
	control       bool // the verb stops the guest, or sets how its VMM ends
}

func (f *stopFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.max, "max-pause", 0, "read a guest behind a stub in stops of at most this length")
	cmd.Flags().DurationVar(&f.hung, "hung-after", hungAfter, "end a ukdbg that keeps the guest stopped and has not run for this long, and give the guest back; 0 never")
	cmd.Flags().StringVar(&f.budget, "pause-budget", f.budget, "the part of the time the guest may be kept stopped, such as 1%")
	cmd.Flags().StringVar(&f.monitor, "monitor", "", "a monitor socket of the VMM, for the case that the stub hangs")
	cmd.Flags().BoolVar(&f.allowShutdown, "allow-guest-shutdown", false, "attach although the guest ends when ukdbg leaves (Firecracker, uhyve, Solo5)")
}

// brief reports whether the guest is to run but for short stops in which it is
// read.
func (f *stopFlags) brief(verb string) bool {
	return f.max > 0 || f.share > 0 || verb == verbAttach && f.readOnly
}

// Verbs that do more than read: a person's session, what samples, and the verbs
// of trace that set what they are for: the buffer drained, the tracepoints' switches.
const (
	verbAttach  = "attach"
	verbProfile = "profile"
	verbRecord  = "record"
	verbEnable  = "enable"
	verbDisable = "disable"
)

// changes reports whether a verb is there to change something in the guest.
func changes(verb string) bool {
	switch verb {
	case verbAttach, verbRecord, verbEnable, verbDisable:
		return true
	}
	return false
}

// check reads the budget, and makes every verb read-only that is not there to
// change the guest.
func (f *stopFlags) check(verb string) error {
	if f.max < 0 || f.hung < 0 {
		return usageError{errors.New("--max-pause and --hung-after must be above 0")}
	}
	if !changes(verb) && !f.control {
		f.readOnly = true
	} else if verb != verbAttach && (f.max > 0 || f.budget != "") {
		return usageError{fmt.Errorf("%s changes the guest while it stands and takes the time that needs: --max-pause and --pause-budget are not for it", verb)}
	} else if verb == verbAttach && !f.readOnly && (f.max > 0 || f.budget != "") {
		return usageError{errors.New("a session stops the guest for as long as you look at it: --max-pause and --pause-budget need --read-only")}
	}
	if f.budget == "" {
		return nil
	}
	digits, percent := strings.CutSuffix(f.budget, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v <= 1) {
		return usageError{fmt.Errorf("--pause-budget %q: want a part of the time, such as 1%% or 0.01", f.budget)}
	}
	f.share = v
	return nil
}
