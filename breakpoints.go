package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// Breakpoint is a place or a datum a person wants the guest to stop at. The
// guest is patched only while it runs: at each stop all breakpoints are taken
// out again.
type Breakpoint struct {
	ID   int
	Kind target.BreakKind
	// Where is what the person wrote.
	Where string
	// Addrs are the run-time addresses; a watchpoint has one.
	Addrs []uint64
	// Len is the number of bytes a watchpoint covers.
	Len int
	// Condition is a C expression, "" for always.
	Condition string
	// Thread is the id of the only thread that stops here, 0 for any.
	Thread int
	// Ignore is how many further hits pass silently.
	Ignore int
	// Temporary: deleted when it stops the guest.
	Temporary bool
	Disabled  bool
	// Hits counts how often the condition held.
	Hits int
	// Commands run in the REPL when it stops the guest.
	Commands []string

	// old is a watchpoint's value when the guest last stopped.
	old []byte
}

// IsWatch reports whether b watches data.
func (b *Breakpoint) IsWatch() bool { return b.Kind.IsWatch() }

// Breakpoints lists the breakpoints in order of their ids.
func (s *Session) Breakpoints() []*Breakpoint { return s.breaks }

// Breakpoint finds a breakpoint by id.
func (s *Session) Breakpoint(id int) (*Breakpoint, error) {
	for _, b := range s.breaks {
		if b.ID == id {
			return b, nil
		}
	}
	return nil, fmt.Errorf("no breakpoint number %d", id)
}

// AddBreakpoint registers b, gives it an id and returns it. Nothing is patched
// before the guest runs.
func (s *Session) AddBreakpoint(b Breakpoint) (*Breakpoint, error) {
	if err := s.mayChange(); err != nil {
		return nil, err
	}
	if s.live == nil {
		return nil, s.notLive()
	}
	if len(b.Addrs) == 0 {
		return nil, errors.New("a breakpoint wants an address")
	}
	if l, ok := s.live.(interface {
		Supports(target.BreakKind) error
	}); ok {
		if err := l.Supports(b.Kind); err != nil {
			return nil, err
		}
	}
	s.lastBreak++
	b.ID = s.lastBreak
	p := &b
	s.breaks = append(s.breaks, p)
	return p, nil
}

// DeleteBreakpoint removes a breakpoint.
func (s *Session) DeleteBreakpoint(id int) error {
	if _, err := s.Breakpoint(id); err != nil {
		return err
	}
	s.breaks = slices.DeleteFunc(s.breaks, func(b *Breakpoint) bool { return b.ID == id })
	return nil
}

// patches lists what must be in the guest while it runs, without doubles.
func (s *Session) patches(extra []target.Breakpoint) []target.Breakpoint {
	var out []target.Breakpoint
	add := func(b target.Breakpoint) {
		if !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	for _, b := range s.breaks {
		if b.Disabled {
			continue
		}
		for _, a := range b.Addrs {
			add(target.Breakpoint{Kind: b.Kind, Addr: a, Len: b.Len})
		}
	}
	for _, b := range extra {
		add(b)
	}
	return out
}

// insert puts patches into the guest, or none of them.
func (s *Session) insert(ctx context.Context, list []target.Breakpoint) error {
	for i, b := range list {
		if err := s.live.Insert(ctx, b); err != nil {
			// The context may be what ended it, with b in or out.
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptPatience)
			defer cancel()
			return errors.Join(fmt.Errorf("inserting a breakpoint at %#x: %w", b.Addr, err), s.takeOut(clean, list[:i+1]))
		}
		s.inserted = append(s.inserted, b)
	}
	return nil
}

// takeOut removes patches; what could not be removed stays on the list.
func (s *Session) takeOut(ctx context.Context, list []target.Breakpoint) error {
	var errs []error
	for _, b := range slices.Clone(list) {
		if err := s.live.Remove(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("removing the breakpoint at %#x: %w", b.Addr, err))
			continue
		}
		if b.Kind.IsWatch() {
			s.newEpoch() // processors may be an instruction further now
		}
		s.inserted = slices.DeleteFunc(s.inserted, func(have target.Breakpoint) bool { return have == b })
	}
	return errors.Join(errs...)
}
