package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
)

func newAttach(e env) *cobra.Command {
	var (
		flags targetFlags
		files []string
		lines []string
		batch bool
	)
	cmd := &cobra.Command{
		Use:   "attach TARGET -e NAME.dbg",
		Short: "Debug a guest interactively",
		Long: `attach opens a session on a guest. Leaving it in any way (quit, detach, ^D, ^C
twice, SIGTERM) takes all breakpoints out and leaves the guest as it was found:
what ran runs, what was paused stays paused.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return attach(cmd.Context(), e, &flags, args[0], files, lines, batch)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&flags.stops.readOnly, "read-only", false, "refuse what changes, stops or resumes the guest; a running one is read in stops of --max-pause (2ms)")
	cmd.Flags().StringArrayVarP(&files, "command-file", "x", nil, "run the commands in a file first")
	cmd.Flags().StringArrayVar(&lines, "ex", nil, "run a command first")
	cmd.Flags().BoolVar(&batch, "batch", false, "leave after -x and --ex; status 1 if a command failed")
	return cmd
}

// leavePatience bounds how long leaving a guest may take, whatever ended us.
const leavePatience = 10 * time.Second

func attach(ctx context.Context, e env, flags *targetFlags, target string, files, lines []string, batch bool) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, lost, quit := guarded(ctx)
	defer quit()
	// From before the guest is touched: until there is a session, ^C gives up.
	interrupt := atomic.Pointer[func()]{}
	giveUp := func() { quit() }
	interrupt.Store(&giveUp)
	defer forwardInterrupts(func() { (*interrupt.Load())() })()

	s, err := flags.open(ctx, e, target, func(text []byte) {
		// What the guest prints must not drive this terminal.
		fmt.Fprint(e.out, repl.Printable(string(text)))
	}, lost)
	if err != nil {
		return lostFirst(ctx, err)
	}
	defer func() {
		err = errors.Join(err, leave(ctx, e, s))
		err = lostFirst(ctx, err)
	}()

	r := repl.New(s, repl.Options{In: repl.NewPipe(e.in), Out: e.out, Color: e.color(), Leave: quit})
	forward := r.Interrupt
	interrupt.Store(&forward)
	if !batch && e.inTTY && e.outTTY {
		in, err := repl.NewTerminal(historyFile(e), r.Complete)
		if err != nil {
			return fmt.Errorf("preparing the terminal: %w", err)
		}
		defer in.Close()
		r.SetInput(in)
	}
	if !batch {
		r.Welcome(ctx)
	}
	// A batch that was ended from outside did not do what it was asked to.
	ended := func() error {
		if batch && ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return nil
	}
	for _, f := range files {
		if err := r.RunFile(ctx, f); err != nil {
			if repl.IsQuit(err) {
				return ended()
			}
			if batch {
				return err
			}
			fmt.Fprintf(e.err, "ukdbg: %v\n", err)
		}
	}
	for _, l := range lines {
		// As in gdb, one that fails does not keep the next from running; the exit
		// status tells.
		if err := r.Execute(ctx, l); repl.IsQuit(err) {
			return ended()
		}
		if ctx.Err() != nil {
			return ended()
		}
	}
	if batch {
		if r.Failed() {
			return silentError{exitFailed}
		}
		return nil
	}
	if err := r.Run(ctx); err != nil {
		return err
	}
	if !e.inTTY && r.Failed() {
		return silentError{exitFailed}
	}
	return nil
}

// forwardInterrupts calls f at each ^C until the function it returns is called.
func forwardInterrupts(f func()) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// leave gives the guest back, even when ctx is what ended the session.
func leave(ctx context.Context, e env, s *ukdbg.Session) error {
	if s.Left() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
	defer cancel()
	bye, err := s.Leave(ctx)
	if err != nil {
		return err
	}
	if !s.Live() {
		if text := s.ObservedText(); text != "" {
			_, err = fmt.Fprintln(e.out, text)
		}
		return err
	}
	_, err = fmt.Fprintln(e.out, ukdbg.FarewellText(bye))
	return err
}

// historyFile is where the lines typed are kept: the user's state folder.
func historyFile(e env) string {
	dir := e.getenv("XDG_STATE_HOME")
	if dir == "" {
		home := e.getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "ukdbg", "history")
}
