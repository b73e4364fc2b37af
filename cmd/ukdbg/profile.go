package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"os"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/profiler"
)

func newProfile(e env) *cobra.Command {
	var flags targetFlags
	var opt ukdbg.ProfileOptions
	var out profileOutput
	var source string
	cmd := &cobra.Command{
		Use:   "profile [cpu|wall|offcpu|heap|lock] TARGET -e NAME.dbg [-o FILE.pb.gz]",
		Short: "Profile the running guest: processor, waiting, memory, locks",
		Long: `profile looks at the guest again and again and writes what 'go tool pprof' opens:
cpu (the default) at what every processor does, wall at where every thread is,
offcpu at the threads that do not run and what for. A guest reached through its
monitor (qmp:, pid:, kraft:…) is not stopped; over a stub each look is a short stop.
A KVM or Firecracker guest without a monitor is sampled by the host's kernel
(perf_event_open): flat, and nothing stops. What that cost the guest is measured and written into the profile. ^C ends early
and keeps what was sampled. A dump gives one sample of each thread.

heap and lock are made of trace records: what was allocated and not given back, by
call chain where records have backtraces, and how long locks were waited for. They
take a recording too, and record a live guest for the time given.

--to sends the profile to a store: pyroscope+http://HOST:4040, parca+grpc://HOST:7070,
or to an OpenTelemetry receiver: grpc://HOST:4317. With --spool what it does not take
is kept in a folder and sent first the next time.

` + profileFormsHelp(),
		Args: kindAndTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.Hz <= 0 || opt.Duration <= 0 {
				return usageError{errors.New("--hz and --duration must be above 0")}
			}
			if err := out.check(); err != nil {
				return err
			}
			if len(args) == 2 {
				opt.Kind = profiler.Kind(args[0])
			}
			if opt.Kind == profiler.Heap || opt.Kind == profiler.Lock {
				if err := traceProfile(cmd.Context(), e, &flags, args[1], opt, &out); err != nil {
					return err
				}
				return out.finish(cmd.Context(), e, flags.json)
			}
			if err := checkSource(&opt, source); err != nil {
				return err
			}
			ctx, name := context.WithoutCancel(cmd.Context()), args[len(args)-1]
			name, err := ukdbg.SourceTarget(ctx, name, opt.Source)
			if err != nil {
				return err
			}
			sample := func(name string) error {
				return once(ctx, e, &flags, name, func(ctx context.Context, s *ukdbg.Session) error {
					return profile(ctx, e, &flags, s, opt, &out)
				})
			}
			err = sample(name)
			var no *ukdbg.SourceError
			if errors.As(err, &no) && opt.Source == ukdbg.AutoSource && no.Stub != "" {
				fmt.Fprintf(e.err, "ukdbg: %v: sampled in short stops by its stub %s\n", no, no.Stub)
				err = sample(no.Stub)
			}
			if err != nil {
				return err
			}
			return out.finish(cmd.Context(), e, flags.json)
		},
	}
	cmd.AddCommand(newProfileDiff(e))
	flags.stops.budget = "5%"
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().DurationVarP(&opt.Duration, "duration", "d", 5*time.Second, "how long")
	cmd.Flags().Float64VarP(&opt.Hz, "hz", "F", 99, "samples a second")
	cmd.Flags().StringVar(&source, "source", "auto", "what takes the samples of cpu: monitor, perf, stub, or the first of these that the target has")
	out.add(cmd)
	return cmd
}

// checkSource takes --source.
func checkSource(opt *ukdbg.ProfileOptions, source string) error {
	switch source {
	case "auto":
		opt.Source = ukdbg.AutoSource
	case "monitor", "perf", "stub":
		opt.Source = ukdbg.ProfileSource(source)
	default:
		return usageError{fmt.Errorf("--source: %q is none of auto, monitor, perf and stub", source)}
	}
	return nil
}

// profileFormsHelp lists the formats for the verb's help.
func profileFormsHelp() string {
	var b strings.Builder
	b.WriteString("Formats (--format, or by the end of the file's name):\n")
	for _, f := range ukdbg.ProfileForms() {
		fmt.Fprintf(&b, "  %-10s %s (%s)\n", f.Name, f.About, strings.Join(f.Suffixes, " "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// kinds are the words that may come before TARGET.
var kinds = []profiler.Kind{profiler.CPU, profiler.Wall, profiler.OffCPU, profiler.Heap, profiler.Lock}

// kindAndTarget takes what is profiled, if told, and of whom.
func kindAndTarget(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 1:
		return nil
	case len(args) == 2 && slices.Contains(kinds, profiler.Kind(args[0])):
		return nil
	case len(args) == 2:
		return usageError{fmt.Errorf("what to profile: %q is none of cpu, wall, offcpu, heap and lock", args[0])}
	}
	return usageError{errors.New("want what to profile (cpu, wall, offcpu, heap, lock) and a TARGET")}
}

func profile(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session, opt ukdbg.ProfileOptions, out *profileOutput) error {
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
	out.take(p, s.Resource(ctx, ""))
	return nil
}
