package ukdbg

import (
	"context"
	"errors"
	"strconv"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/livevm"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// observed gives a livevm.Machine the form of an observer.
type observed struct{ *livevm.Machine }

func (o observed) Cost() monitorCost {
	u := o.Used()
	return monitorCost{u.Use, u.RegisterReads}
}

// RAM is where guest memory lies, by physical address.
func (o observed) RAM() []dumpfile.Extent {
	var out []dumpfile.Extent
	for _, r := range o.Regions() {
		out = append(out, dumpfile.Extent{Phys: r.Phys, Size: r.Size})
	}
	return out
}

func openObserver(ctx context.Context, spec target.Spec, im *symbolizer.Image, opt Options) (observer, error) {
	lo := livevm.Options{Timeout: opt.Timeout}
	if state := opt.Guard.State; state != "" {
		lo.Patches = func(pid int, monitor string) (list []livevm.Patch) {
			for _, b := range guard.Patches(state, pid, monitor) {
				list = append(list, livevm.Patch{Addr: b.Addr, Orig: b.Orig})
			}
			return list
		}
	}
	if im != nil {
		lo.Image = &livevm.Image{Arch: im.Arch(), Probes: probesOf(im), Tables: pageTables(im), Relocatable: im.Relocatable()}
	}
	var m *livevm.Machine
	var err error
	if spec.Scheme == target.QMP {
		m, err = livevm.OpenMonitor(ctx, qmp.Monitor{Path: spec.Addr}, lo)
	} else {
		pid, perr := strconv.Atoi(spec.Addr)
		if perr != nil {
			return nil, mark(perr, ErrUsage)
		}
		m, err = livevm.OpenProcess(ctx, pid, lo)
	}
	switch {
	case errors.Is(err, guestram.ErrNotFound):
		return nil, mark(err, ErrMismatch)
	case errors.Is(err, livevm.ErrNeedImage):
		return nil, mark(err, ErrUsage)
	case err != nil:
		return nil, mark(err, ErrUnreachable)
	}
	return observed{m}, nil
}

// notThisImage reports whether err says that the guest's memory, which only the
// image's bytes can find, holds none of them.
func notThisImage(err error) bool { return errors.Is(err, guestram.ErrNotFound) }

const (
	probeCount = 12
	probeSize  = 64
)

// probesOf are pieces of the image's code spread over its pages, which tell it
// from anything else.
func probesOf(im *symbolizer.Image) []guestram.Probe {
	var code symbolizer.Section
	for _, s := range im.Sections() {
		if s.Code() && s.Size > code.Size {
			code = s
		}
	}
	var out []guestram.Probe
	seen := map[uint64]bool{}
	for i := uint64(0); i < 4*probeCount && len(out) < probeCount && code.Size > probeSize; i++ {
		addr := code.Addr + i*(code.Size-probeSize)/(4*probeCount)
		if addr%4096+probeSize > 4096 {
			addr += probeSize // behind the border of the page
		}
		b, ok := im.Data(addr, probeSize)
		if ok && !seen[addr/4096] && telling(b) {
			seen[addr/4096] = true
			out = append(out, guestram.Probe{Addr: addr, Bytes: b})
		}
	}
	return out
}

// telling reports whether bytes are varied enough to be recognised by.
func telling(b []byte) bool {
	var have [256]bool
	n := 0
	for _, c := range b {
		if !have[c] {
			have[c] = true
			n++
		}
	}
	return n >= len(b)/4
}
