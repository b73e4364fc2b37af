package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/bundle"
)

// watchFlags are those of crash --watch.
type watchFlags struct {
	on    bool
	out   string
	every time.Duration
	keep  bool
}

func (w *watchFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.on, "watch", false, "wait until a guest that is observed dies, then explain it; a VM that shuts down is kept until then")
	cmd.Flags().StringVarP(&w.out, "output", "o", "", "with --watch: a folder for a minimal dump, the console and the answer as JSON")
	cmd.Flags().DurationVar(&w.every, "every", 500*time.Millisecond, "with --watch: how often to look")
	cmd.Flags().BoolVar(&w.keep, "keep", false, "with --watch: keep a VM that shut down, paused, instead of letting it end")
}

// mostFailures is how many looks in a row may fail.
const mostFailures = 5

// confirmAfter is how long a fault that was seen must last: a trap that the guest
// handles is gone by then.
const confirmAfter = 150 * time.Millisecond

// crashWatch waits until a guest that is observed dies, keeps the evidence in a
// folder, and explains the crash. Two sessions look at it: one holds the VM where
// its VMM would end it, under guard; the other watches without a stop.
func crashWatch(ctx context.Context, e env, flags *crashFlags, w *watchFlags, what string) (werr error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, lost, done := guarded(ctx)
	defer done()
	if w.out != "" {
		if err := os.MkdirAll(w.out, 0o700); err != nil {
			return err
		}
	}
	eyes, err := flags.open(ctx, e, what, nil, lost)
	if err != nil {
		return lostFirst(ctx, err)
	}
	defer func() { _, lerr := eyes.Leave(context.WithoutCancel(ctx)); werr = errors.Join(werr, lerr) }()
	if !eyes.Observing() || eyes.BriefStops() {
		return usageError{errors.New("--watch wants a guest that can be observed: qmp:PATH, pid:N or a name of 'ukdbg ls'")}
	}
	end := false // the VM is to end as it would have by itself
	if state, err := eyes.RunState(ctx); err == nil && !ukdbg.Ended(state) {
		hand, held, err := holdShutdown(ctx, e, flags, what, lost)
		if err != nil {
			return lostFirst(ctx, err)
		}
		defer func() {
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
			defer cancel()
			_, lerr := hand.Leave(leaving)
			if end && lerr == nil {
				lerr = eyes.EndVM(leaving)
			}
			werr = errors.Join(werr, lerr)
		}()
		if !flags.json {
			fmt.Fprintf(e.err, "watching %s; %s\n", asserts.Escape(what), held)
		}
	}
	state, err := waitForEnd(ctx, eyes, w.every)
	if err != nil {
		if ctx.Err() != nil {
			if cause := context.Cause(ctx); errors.Is(cause, errGuardLost) {
				return cause
			}
			return errors.New("interrupted: the guest was left as it was found")
		}
		return err
	}
	if err := evidence(ctx, e, flags, w, eyes); err != nil {
		return err
	}
	// A guest that died may have shut down since.
	if now, err := eyes.RunState(ctx); err == nil {
		state = now
	}
	if !strings.Contains(state, "shutdown") || eyes.HoldsShutdown(ctx) {
		return nil
	}
	if end = !w.keep; w.keep {
		fmt.Fprintln(e.err, "the VM is kept, paused: 'quit' on its monitor ends it")
	}
	return nil
}

// holdShutdown opens a session that keeps the VM where its VMM would end it, and
// says how.
func holdShutdown(ctx context.Context, e env, flags *crashFlags, what string, lost func()) (s *ukdbg.Session, how string, err error) {
	f := flags.targetFlags
	f.stops.control, f.stops.readOnly = true, false
	if s, err = f.open(ctx, e, what, nil, lost); err != nil {
		return nil, "", err
	}
	if s.HoldsShutdown(ctx) {
		return s, "its VMM keeps it when it shuts down", nil
	}
	if err := s.TakeOver(ctx); err != nil {
		return s, fmt.Sprintf("it is not kept when it shuts down: %v", err), nil
	}
	if err := errors.Join(s.HoldShutdown(ctx), s.LetRun(ctx)); err != nil {
		_, rerr := s.Release(context.WithoutCancel(ctx))
		return s, fmt.Sprintf("it is not kept when it shuts down: %v", err), rerr
	}
	return s, "it is kept when it shuts down", nil
}

// waitForEnd waits for a fault or for the end of the VM and returns its run state.
func waitForEnd(ctx context.Context, s *ukdbg.Session, every time.Duration) (state string, err error) {
	for failed := 0; ; {
		state, err = s.RunState(ctx)
		switch {
		case err == nil && (ukdbg.Ended(state) || dead(ctx, s)):
			return state, nil
		case err == nil:
			failed = 0
		default:
			// Somebody else may have the monitor for a moment.
			if failed++; failed == mostFailures {
				return "", fmt.Errorf("the guest ended, or cannot be watched any more: %w", err)
			}
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// dead reports whether the guest stands in a fault: the same one twice.
func dead(ctx context.Context, s *ukdbg.Session) bool {
	s.Look()
	first, err := s.Fault(ctx)
	if err != nil {
		return false
	}
	select {
	case <-time.After(confirmAfter):
	case <-ctx.Done():
		return false
	}
	s.Look()
	again, err := s.Fault(ctx)
	return err == nil && first.Text == again.Text
}

// evidence writes a minimal dump, what crash says and the console, and explains
// the crash.
func evidence(ctx context.Context, e env, flags *crashFlags, w *watchFlags, s *ukdbg.Session) error {
	s.Look()
	if w.out != "" {
		opt := ukdbg.WriteOptions{Minimal: flags.image != "", Writer: "ukdbg " + version}
		st, err := dumpTo(ctx, e, s, filepath.Join(w.out, bundle.Dump), opt)
		if err != nil {
			return err
		}
		if text, err := s.ConsoleRing(ctx); err == nil {
			if err := writeWhole(filepath.Join(w.out, bundle.Console), func(o io.Writer) error { _, err := o.Write(text); return err }); err != nil {
				return err
			}
		}
		if !flags.json {
			fmt.Fprint(e.err, dumpText(filepath.Join(w.out, bundle.Dump), st))
		}
		var told strings.Builder
		in := e
		in.out = &told
		asJSON := *flags
		asJSON.json = true
		if err := crashOf(ctx, in, &asJSON, s); err == nil && json.Valid([]byte(told.String())) {
			if err := writeWhole(filepath.Join(w.out, bundle.Faults), func(o io.Writer) error { _, err := io.WriteString(o, told.String()); return err }); err != nil {
				return err
			}
		}
	}
	return crashOf(ctx, e, flags, s)
}
