package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"os"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newProfile(e env) *cobra.Command {
	var flags targetFlags
	var opt ukdbg.ProfileOptions
	var output string
	var top int
	cmd := &cobra.Command{
		Use:   "profile TARGET -e NAME.dbg [-o FILE.pb.gz]",
		Short: "Sample the running guest, write a pprof profile",
		Long: `profile stops the guest briefly for each sample, unwinds the stack of every CPU,
and writes what 'go tool pprof' opens. How long the guest was stopped is measured
and written into the profile. ^C ends early and keeps what was sampled. A dump
gives one sample of each thread.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.Hz <= 0 || opt.Duration <= 0 {
				return usageError{errors.New("--hz and --duration must be above 0")}
			}
			return once(context.WithoutCancel(cmd.Context()), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				return profile(ctx, e, &flags, s, opt, output, top)
			})
		},
	}
	flags.stops.budget = "5%"
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().DurationVarP(&opt.Duration, "duration", "d", 5*time.Second, "how long")
	cmd.Flags().Float64Var(&opt.Hz, "hz", 99, "samples a second")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the profile to write, - for stdout")
	cmd.Flags().IntVar(&top, "top", 20, "functions to show")
	return cmd
}

func profile(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session, opt ukdbg.ProfileOptions, output string, top int) error {
	if s.FoundPaused() {
		return errors.New("the guest is paused, and sampling would let it run: whoever paused it is to let it run first (attach and continue, or the VMM's monitor)")
	}
	// ^C ends the sampling, not the verb: what was sampled is kept.
	sampling, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if e.outTTY {
		opt.Progress = func(done, total time.Duration) {
			fmt.Fprintf(e.err, "\rsampling %3.0f %%", 100*done.Seconds()/total.Seconds())
		}
	}
	opt.MaxPause = flags.stops.share
	p, err := s.Profile(sampling, opt)
	if e.outTTY {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	if output != "" {
		if err := writeTo(e, output, func(w io.Writer) error { return ukdbg.WritePprof(w, p) }); err != nil {
			return err
		}
	}
	switch {
	case flags.json:
		return ukdbg.WriteProfileJSON(e.out, p, top)
	case output != "-":
		ukdbg.WriteProfile(e.out, p, top)
	}
	return nil
}
