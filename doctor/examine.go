package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// Options say what to look at.
type Options struct {
	// Target is a target address.
	Target string
	// Image is the image with debug information, "" to look beside the guest's
	// kernel.
	Image string
	// Host is where guests are looked for, nil for this host.
	Host *hosts.Host
}

// marked is an error with what it means for a caller.
type marked struct {
	error
	as error
}

func (m marked) Unwrap() []error { return []error{m.error, m.as} }

// exam is one examination.
type exam struct {
	Report
	opt  Options
	spec target.Spec
	im   image
}

// Examine looks at a target. The error is for a target that is no address or no
// guest; what does not work is in the report.
func Examine(ctx context.Context, opt Options) (*Report, error) {
	spec, err := target.ParseSpec(opt.Target)
	if err != nil {
		return nil, marked{err, ukdbg.ErrUsage}
	}
	if opt.Host == nil {
		opt.Host = hosts.New()
	}
	x := &exam{opt: opt, spec: spec, Report: Report{Target: spec.String(), Image: opt.Image}}
	for _, name := range []string{Memory, Registers, Trace, Threads, Breakpoints, Dump, NoStop, Perf} {
		x.power(name)
	}
	if err := x.find(ctx); err != nil {
		return nil, err
	}
	x.openImage()
	switch {
	case spec.Scheme == target.Core:
		x.core(ctx)
	case x.Guest != nil:
		x.vm(ctx)
	default:
		x.elsewhere()
	}
	x.advise()
	return &x.Report, nil
}

// find looks for the process behind the target, where there is one on this
// host.
func (x *exam) find(ctx context.Context) error {
	h := x.opt.Host
	var found []vmm.Process
	var err error
	switch x.spec.Scheme {
	case target.Kraft, target.Libvirt, target.Firecracker, target.PID:
		g, err := h.Find(ctx, x.spec)
		if err != nil {
			return marked{err, ukdbg.ErrUnreachable}
		}
		h.Look(ctx, &g)
		x.Guest = &g
		return nil
	case target.QMP:
		if found, err = h.Proc.ByListener(ctx, "unix:"+x.spec.Addr); err != nil {
			return marked{err, ukdbg.ErrUnreachable}
		}
	case target.TCP, target.Unix:
		// A stub elsewhere, or of a process that may not be seen, is no error.
		if found, err = h.Proc.ByListener(ctx, x.spec.String()); errors.Is(err, vmm.ErrNoListener) {
			return marked{err, ukdbg.ErrUnreachable}
		}
	}
	for _, p := range found {
		if p.Kind == vmm.Other {
			continue
		}
		g, err := h.Find(ctx, target.Spec{Scheme: target.PID, Addr: fmt.Sprint(p.PID)})
		if err != nil {
			return marked{err, ukdbg.ErrUnreachable}
		}
		h.Look(ctx, &g)
		x.Guest = &g
		return nil
	}
	if x.spec.Scheme == target.QMP {
		return marked{fmt.Errorf("%s: what listens there is no VMM of this host", x.spec), ukdbg.ErrUnreachable}
	}
	return nil
}

// elsewhere is a stub that is not of this host, or a serial line, or a command:
// using it may stop the guest, so nothing is tried.
func (x *exam) elsewhere() {
	const untried = "not tried: connecting to a stub stops the guest"
	for _, name := range []string{Memory, Registers, Breakpoints, Dump} {
		x.power(name).unknown(untried, "")
	}
	for _, name := range []string{Threads, Trace} {
		if why, change := x.im.lacks(name); why != "" {
			x.power(name).no(why, change)
		} else {
			x.power(name).unknown(untried, "")
		}
	}
	where := "no VMM of this host listens there, or none that this user can see"
	x.power(NoStop).no(where, "run ukdbg on the guest's host: qmp:PATH and pid:N stop nothing")
	x.power(Perf).no(where, "run ukdbg on the guest's host")
}

// core is a dump: nobody is stopped by anything.
func (x *exam) core(ctx context.Context) {
	x.power(Dump).works("it is one")
	x.power(NoStop).works("a dump is no guest that could be stopped")
	x.power(Breakpoints).no("a dump does not run", "")
	x.power(Perf).no("a dump does not run", "")
	s, err := x.session(ctx, x.spec.String())
	if err != nil {
		for _, name := range []string{Memory, Registers, Trace, Threads} {
			x.power(name).no(oneLine(err), "")
		}
		return
	}
	defer s.Leave(context.WithoutCancel(ctx)) // a file: nothing can be left wrong
	x.power(Memory).works("in the dump")
	x.tryRegisters(ctx, s, "")
	x.tryKernel(ctx, s)
}

// oneLine is the first line of an error.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
