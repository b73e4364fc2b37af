package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// traceProfile makes a profile of trace records: of a file, of a dump's buffer, or
// of a live guest recorded for a while.
func traceProfile(ctx context.Context, e env, flags *targetFlags, name string, opt ukdbg.ProfileOptions, out *profileOutput) (err error) {
	src, done, err := profileSource(ctx, e, flags, name, opt)
	var none lacksError
	if errors.As(err, &none) && opt.Kind == profiler.Heap {
		p, err := walkedHeap(ctx, e, flags, name, none.warnings())
		if err != nil {
			return err
		}
		guest := ukdbg.TraceResource(nil)
		guest.ServiceName = ukdbg.ImageName(flags.image, name)
		out.take(p, guest)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	made := ukdbg.NewTraceProfile(opt.Kind)
	totals, err := (&analysis.Query{}).Run([]stream.Source{src}, made.Visitor())
	if err != nil {
		return err
	}
	var im *symbolizer.Image
	if flags.image != "" {
		if im, err = symbolizer.Open(flags.image); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, im.Close()) }()
	}
	p := made.Profile(im, totals)
	if opt.Kind == profiler.Heap && len(p.Samples) == 0 && !ukdbg.IsTraceFile(name) {
		if p, err = walkedHeap(ctx, e, flags, name, p.Warnings); err != nil {
			return err
		}
	}
	if len(p.Samples) == 0 && len(p.Warnings) > 0 {
		return errors.New("nothing to make a profile of: " + p.Warnings[0])
	}
	guest := ukdbg.TraceResource(nil)
	if all := src.Guests(); len(all) > 0 {
		guest = ukdbg.TraceResource(all[0])
	}
	guest.ServiceName = ukdbg.ImageName(flags.image, name)
	out.take(p, guest)
	return nil
}

// walkedHeap makes the profile of the allocators' own structures where no record tells
// of an allocation; why says so.
func walkedHeap(ctx context.Context, e env, flags *targetFlags, name string, why []string) (p *profiler.Profile, err error) {
	flags.verb = verbProfile
	err = once(ctx, e, flags, name, func(ctx context.Context, s *ukdbg.Session) error {
		p, err = s.HeapProfile(ctx)
		return err
	})
	if err != nil {
		return nil, errors.Join(errors.New("nothing to make a profile of: "+strings.Join(why, "; ")), err)
	}
	p.Warnings = append(p.Warnings, why...)
	return p, nil
}

// lacksError says that no trace record tells what a profile is made of.
type lacksError struct{ what []string }

func (l lacksError) Error() string { return "nothing to make a profile of: " + l.warnings()[0] }

func (l lacksError) warnings() (out []string) {
	for _, w := range l.what {
		out = append(out, "not known: "+w)
	}
	return out
}

// profileSource opens the records; done lets go of them. A live guest is recorded,
// unless its tracepoints could not tell what the profile is made of (lacksError).
func profileSource(ctx context.Context, e env, flags *targetFlags, name string, opt ukdbg.ProfileOptions) (src stream.Source, done func() error, err error) {
	if ukdbg.IsTraceFile(name) {
		f, err := ukdbg.OpenTraceFile(name, flags.image, e.in, false)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	// The guest's buffer is drained, as trace record does.
	flags.verb, flags.stops.budget = verbRecord, ""
	var snap *ukdbg.Trace
	live, lacks := false, []string(nil)
	err = once(ctx, e, flags, name, func(ctx context.Context, s *ukdbg.Session) (err error) {
		if live = s.Live() || s.Observing(); live {
			lacks, err = s.TraceLacks(ctx, opt.Kind)
			return err
		}
		snap, err = s.Trace(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if !live {
		return snap.Source(), func() error { return nil }, nil
	}
	if len(lacks) > 0 {
		return nil, nil, lacksError{lacks}
	}
	file, err := os.CreateTemp("", "ukdbg-*.ukt")
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return errors.Join(file.Close(), os.Remove(file.Name())) }
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	st, err := recordTo(ctx, e, flags, name, file, opt.Duration, 0)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	fmt.Fprintln(e.err, recordedText(&st)) // with the stops it took
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return stream.NewRecording(file), remove, nil
}
