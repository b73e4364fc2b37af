package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/profiler"
)

// profileOutput is what becomes of a profile: a file, a receiver that gets it, the
// answer in the terminal.
type profileOutput struct {
	path, format string
	top          int
	push         ukdbg.PushOptions
	secure       tlsFlags

	taken *profiler.Profile
	guest otlp.Resource
}

func (o *profileOutput) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&o.path, "output", "o", "", "the profile to write, - for stdout")
	fl.StringVar(&o.format, "format", "", "its format, if not by the end of its name")
	fl.IntVar(&o.top, "top", 20, "functions to show")
	addPush(cmd, &o.push, "a receiver to send it to: [pyroscope+|parca+]URL")
	o.secure.add(cmd)
}

// check tells a wrong format or receiver before anything is sampled.
func (o *profileOutput) check() (err error) {
	if o.format != "" && o.path == "" {
		return usageError{errors.New("--format wants -o FILE")}
	}
	if _, err := ukdbg.FindProfileForm(o.format, o.path); err != nil {
		return usageError{err}
	}
	if o.push.URL == "" {
		return nil
	}
	if o.push.TLS, err = o.secure.config(); err != nil {
		return err
	}
	return ukdbg.CheckProfileURL(o.push.URL)
}

// take keeps a profile until the guest is let go of.
func (o *profileOutput) take(p *profiler.Profile, guest otlp.Resource) { o.taken, o.guest = p, guest }

// finish writes, sends and shows what was taken.
func (o *profileOutput) finish(ctx context.Context, e env, asJSON bool) error {
	if o.path != "" {
		form, err := ukdbg.FindProfileForm(o.format, o.path)
		if err != nil {
			return err
		}
		if err := writeTo(e, o.path, func(w io.Writer) error { return form.Write(w, o.taken, o.guest.ServiceName) }); err != nil {
			return err
		}
	}
	sent, err := o.send(ctx, e)
	switch {
	case asJSON:
		return errors.Join(ukdbg.WriteProfileJSON(e.out, o.taken, o.top, sent), err)
	case o.path != "-": // else the profile itself is the answer
		ukdbg.WriteProfile(e.out, o.taken, o.top)
	}
	return err
}

// send gives the profile to the receiver, if there is one.
func (o *profileOutput) send(ctx context.Context, e env) (*delivery.Stats, error) {
	if o.push.URL == "" {
		return nil, nil
	}
	// A receiver may keep us waiting: whoever ends that ends it orderly.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	st, err := ukdbg.PushProfile(ctx, o.taken, o.guest, o.push)
	fmt.Fprint(e.err, ukdbg.PushedText(st, "profile"))
	return &st, err
}
