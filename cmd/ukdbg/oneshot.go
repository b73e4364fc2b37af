package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
)

// once opens a target, runs f and gives the guest back, whatever happens
// meanwhile: ^C and SIGTERM end f through its context. What f writes is kept back
// until then.
func once(ctx context.Context, e env, flags *targetFlags, name string, f func(context.Context, *ukdbg.Session) error) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, lost, done := guarded(ctx)
	defer done()
	if !flags.unheld {
		// Until the guest has been given back, whatever becomes of it.
		e.held.hold()
		defer func() { err = errors.Join(err, e.held.release()) }()
	}
	s, err := flags.open(ctx, e, name, nil, lost)
	if err != nil {
		return lostFirst(ctx, err)
	}
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
		defer cancel()
		bye, lerr := s.Leave(leaving)
		err = errors.Join(err, lerr)
		if lerr != nil || flags.json {
			return
		}
		// On stderr: stdout is the answer.
		if s.Live() {
			fmt.Fprintln(e.err, ukdbg.FarewellText(bye))
		} else if text := s.ObservedText(); text != "" {
			fmt.Fprintln(e.err, text)
		}
	}()
	if w := s.Warning(); w != "" {
		fmt.Fprintf(e.err, "ukdbg: warning: %s\n", w)
	}
	for _, text := range s.MissingImages() {
		fmt.Fprintf(e.err, "ukdbg: warning: no names in %s\n", repl.Printable(text))
	}
	err = f(ctx, s)
	if cause := context.Cause(ctx); errors.Is(cause, errGuardLost) {
		return cause // what f says follows from it
	} else if cause != nil {
		return interrupted(err)
	}
	return err
}

// interrupted is the error of a verb that was ended from outside, with what more it
// has to say than that.
func interrupted(err error) error {
	if err == context.Canceled {
		err = nil
	}
	return errors.Join(errors.New("interrupted"), err)
}

// printJSON writes v indented, which is what --json gives.
func printJSON(e env, v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
