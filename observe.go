package ukdbg

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// observer is a running VM that is looked at without being stopped.
type observer interface {
	machine
	target.PhysicalMemory
	// Forget starts a new moment: what was read before is read again.
	Forget()
	// Arch is the guest's architecture, nil if nothing told it.
	Arch() *arch.Arch
	// Status is the run state the VMM told at the start, "" if it did not.
	Status() string
	// Cost is what the VMM's monitor was used for.
	Cost() monitorCost
	// MonitorSocket is the VMM's monitor in use; ok is false if there is none.
	MonitorSocket() (m qmp.Monitor, ok bool)
	// Stubs are the addresses of the GDB stubs the VMM has of its own.
	Stubs() []string
	// Hints are run-time addresses that probably lie in the image.
	Hints() []uint64
	Close() error
}

// monitorCost is the use of a monitor, and how often of it all processors' registers
// were read.
type monitorCost struct {
	qmp.Use
	registerReads int
}

// heldText tells for how long others had to wait for the monitor at most.
func (c monitorCost) heldText() string {
	return fmt.Sprintf("the monitor never held for longer than %s", roundDuration(c.Longest))
}

// observe opens a running VM without stopping it.
func (s *Session) observe(ctx context.Context) error {
	o, err := openObserver(ctx, s.spec, s.image, s.opt)
	if err != nil {
		return err
	}
	s.machine, s.observer, s.arch = newProcessors(o), o, o.Arch()
	s.view = newView(s.without(o))
	return nil
}

// Observing reports whether the guest is looked at while it runs, without being
// stopped.
func (s *Session) Observing() bool { return s.observer != nil && s.live == nil }

// observingText says that the guest runs on, and what would stop it.
func (s *Session) observingText() string {
	if status := s.observer.Status(); status != "" && status != "running" {
		return "observed, not touched: the VM is " + status
	}
	if b, ok := s.observer.(*brief); ok {
		return "observing the running guest: it is read in stops of " + b.limits()
	}
	text := "observing the running guest: nothing stops it"
	if _, ok := s.observer.MonitorSocket(); ok || len(s.observer.Stubs()) > 0 {
		text += " but interrupt, break, step, watch and set"
	}
	return text
}

// Look starts a new moment of a guest that is observed: what was read before is
// read again. It does nothing to a guest that stands still, or to a dump.
func (s *Session) Look() {
	if s.Observing() {
		s.newEpoch()
	}
}

// settleTries is how often what a running guest changed is read again, and
// runTries how often for the sake of a processor that merely ran on.
const (
	settleTries = 8
	// briefTimes is settleTries where the guest is read in short stops: it runs
	// between them for so long that another reading seldom finds it as before, and
	// each costs stops.
	briefTimes = 2
	runTries   = 2
)

// settle runs f on memory of one moment: f runs once to learn what it reads, then
// all that is read at once, twice, and f runs on that. If anything f used changed
// between the two readings, or was not among what was read, it starts again; in
// the end what changes all the time is told by s.torn. For a dump, and for a guest
// under control, f runs once.
func (s *Session) settle(ctx context.Context, f func() error) error {
	if !s.Observing() || s.settling {
		return f()
	}
	s.settling = true
	defer func() { s.settling = false }()
	s.torn, s.ran = "", false
	s.view.begin()
	err := f()
	if err == nil && len(s.view.pages) == 0 {
		return nil // it was answered from what is known
	}
	tries := settleTries
	if _, ok := s.observer.(*brief); ok {
		tries = briefTimes
	}
	for try := 1; ; try++ {
		switch {
		case s.machine.lost != nil:
			return mark(s.machine.lost, ErrUnreachable)
		case errors.Is(err, target.ErrLost):
			return mark(err, ErrUnreachable)
		case ctx.Err() != nil:
			return err
		}
		before := s.machine.known()
		s.machine.forget()
		if len(before) > 0 { // f wants registers
			if err := s.machine.readAll(ctx); errors.Is(err, target.ErrLost) {
				return mark(err, ErrUnreachable)
			}
		}
		if err := s.view.refresh(ctx); errors.Is(err, target.ErrLost) {
			return mark(err, ErrUnreachable)
		} else if err != nil {
			return err
		}
		moved := s.machine.moved(before)
		s.again()
		s.view.begin()
		err = f()
		// An error made of one moment's memory is the guest's, not the reading's.
		whole := !s.view.missed && s.view.steady()
		if whole && (!moved || try > runTries) || try == tries {
			s.ran = moved
			if !s.view.steady() {
				s.torn = fmt.Sprintf("changed while read: %d of %d places changed in each of %d readings", s.view.torn, s.view.used, try)
			}
			return err
		}
	}
}

// again forgets what was made of memory, not memory itself.
func (s *Session) again() {
	s.threads = nil
	clear(s.stacks)
}

// changedNote is what a value read from a running guest is marked with.
const changedNote = "changed while read"

// steadily runs f, which evaluates something small, and says whether the guest
// changed meanwhile what was used.
func (s *Session) steadily(f func() error) (torn bool, err error) {
	if !s.Observing() {
		return false, f()
	}
	s.view.begin()
	err = f()
	return !s.view.steady(), err
}

// tableSource gives page table symbols to package unikraft.
type tableSource struct{ im *symbolizer.Image }

func (t tableSource) SymbolByName(name string) (addr, size uint64, ok bool) {
	sym, ok := t.im.SymbolByName(name)
	return sym.Addr, sym.Size, ok
}

// pageTables are the addresses of what may be the image's page tables.
func pageTables(im *symbolizer.Image) []uint64 { return unikraft.PageTables(tableSource{im}) }
