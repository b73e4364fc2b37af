package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newTop(e env) *cobra.Command {
	var flags targetFlags
	opt := ukdbg.ProfileOptions{}
	var rounds int
	cmd := &cobra.Command{
		Use:   "top TARGET -e NAME.dbg",
		Short: "Watch the guest: threads, functions, heap and traces as they change",
		Long: `top shows, interval after interval, which threads and functions use the processor,
how the heap grows, what is traced, and what looking cost the guest. Through a
monitor (qmp:, pid:, kraft:…) nothing is stopped; over a stub only samples are taken,
in short stops, and the heap and the trace are left alone. ^C ends it. Piped, it writes one
block an interval.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.Hz <= 0 || opt.Duration <= 0 || rounds < 0 {
				return usageError{errors.New("--hz, --interval and -n must be above 0")}
			}
			flags.verb, flags.unheld = verbProfile, true
			// ^C ends the watching, not the leaving.
			return once(context.WithoutCancel(cmd.Context()), e, &flags, args[0], func(ctx context.Context, s *ukdbg.Session) error {
				opt.MaxPause = flags.stops.share
				return top(ctx, e, &flags, s, opt, rounds)
			})
		},
	}
	flags.stops.budget = "2%"
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().DurationVarP(&opt.Duration, "interval", "d", time.Second, "how long an interval is")
	cmd.Flags().Float64VarP(&opt.Hz, "hz", "F", 49, "samples a second")
	cmd.Flags().IntVarP(&rounds, "rounds", "n", 0, "end after so many intervals, 0 for ^C")
	return cmd
}

func top(ctx context.Context, e env, flags *targetFlags, s *ukdbg.Session, opt ukdbg.ProfileOptions, rounds int) error {
	if s.FoundPaused() {
		return errors.New("the guest is paused: there is nothing to watch until whoever paused it lets it run")
	}
	watching, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := ukdbg.NewTop(s, opt)
	screen := e.outTTY && !flags.json
	for n := 0; rounds == 0 || n < rounds; n++ {
		o, err := t.Next(watching)
		if watching.Err() != nil && ctx.Err() == nil {
			return nil // ^C is how it ends
		}
		if err != nil {
			return err
		}
		switch {
		case flags.json:
			err = ukdbg.WriteOverviewJSON(e.out, o)
		case screen:
			err = drawOver(e.out, o, ukdbg.ImageName(flags.image, s.Spec().String()))
		default:
			err = writeOverview(e.out, o, ukdbg.ImageName(flags.image, s.Spec().String()))
		}
		if err != nil {
			return err
		}
		if o.Status != "" {
			return nil // it was told
		}
	}
	return nil
}

// drawOver draws over what the screen shows, so that it does not flicker.
func drawOver(w io.Writer, o *ukdbg.Overview, name string) error {
	var b clearing
	b.out = bufio.NewWriter(w)
	fmt.Fprint(b.out, "\x1b[H")
	if err := writeOverview(&b, o, name); err != nil {
		return err
	}
	fmt.Fprint(b.out, "\x1b[J")
	return b.out.Flush()
}

// clearing clears the rest of each line before it ends.
type clearing struct{ out *bufio.Writer }

func (c *clearing) Write(p []byte) (int, error) {
	for _, ch := range p {
		if ch == '\n' {
			if _, err := c.out.WriteString("\x1b[K"); err != nil {
				return 0, err
			}
		}
		if err := c.out.WriteByte(ch); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func writeOverview(w io.Writer, o *ukdbg.Overview, name string) error {
	out := bufio.NewWriter(w)
	ukdbg.WriteOverview(out, o, name)
	return out.Flush()
}
