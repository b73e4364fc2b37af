package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// Frame is one function of a stack: a frame of the machine, or a call inlined
// into one. As in gdb each has a level of its own.
type Frame struct {
	Level int
	// PC is the run-time address the frame is at; an inlined frame has that of
	// the frame it is inlined into.
	PC uint64
	// CFA is the stack pointer before the call, 0 if not known.
	CFA uint64
	// Regs are the registers as this frame sees them.
	Regs target.Regs
	// Loc is the function and line; Why says why they are not known.
	Loc symbolizer.Location
	Why string
	// Inline: the function is inlined into the next frame.
	Inline bool
	// LineStart: PC is the first address of the line, or belongs to a function
	// inlined here: no address is shown.
	LineStart bool
	// Trap: the frame was interrupted by a trap, not by a call.
	Trap bool
	// TailCall: the function ended in a jump to the one before it and is on the
	// stack no more; the call sites of the debug information prove it was there.
	TailCall bool
	// Found says how the frame was found; Doubt is "" for ways that are exact.
	Found, Doubt string

	physical int // index into stack
	depth    int // of inlined calls, 0 for the innermost
	stack    []unwind.Frame
	epoch    uint64
}

// String is a line of a backtrace.
func (f Frame) String() string {
	name := f.Loc.Function
	if name == "" {
		name = "??"
	}
	text := fmt.Sprintf("#%-3d0x%016x in %s", f.Level, f.PC, name)
	if f.Loc.File != "" {
		text += fmt.Sprintf(" at %s:%d", f.Loc.File, f.Loc.Line)
	}
	if f.Doubt != "" {
		text += " (" + f.Doubt + ")"
	}
	return text
}

// Backtrace returns the stack of a thread, innermost first. Frames found before
// an error are returned with it.
func (s *Session) Backtrace(ctx context.Context, t Thread) ([]Frame, error) {
	physical, err := s.unwind(ctx, t)
	return s.expand(physical), err
}

// expand gives inlined calls and functions that left by a jump frames of their
// own.
func (s *Session) expand(physical []unwind.Frame) []Frame {
	stack := s.withTailCalls(physical)
	var out []Frame
	for i := range stack {
		p := &stack[i]
		f := Frame{
			PC: p.PC, CFA: p.CFA, Regs: p.Regs, Trap: p.Trap, TailCall: p.How == unwind.CallSite, Found: p.How.String(),
			physical: i, stack: stack, epoch: s.epoch,
		}
		if p.How == unwind.Scan {
			f.Doubt = "found by scanning the stack"
		}
		locs, err := s.Resolve(p.LookupPC)
		if err != nil {
			f.Level, f.Why = len(out), err.Error()
			var none *symbolizer.NoSymbol
			if errors.As(err, &none) {
				f.Why = none.Reason.String()
			}
			if text := s.missingAt(p.LookupPC); text != "" {
				f.Why = text
			} else if in := s.imageAt(p.LookupPC); in != "" {
				f.Why = "in " + in + ", " + f.Why
			}
			out = append(out, f)
			continue
		}
		start := false
		if r, ok := s.lineRange(p.LookupPC); ok {
			start = r.start == p.PC
		}
		if f.TailCall {
			// What the jump is inlined into has no frame either in gdb.
			locs = locs[:1]
			locs[0].Inline = false
		}
		for k, l := range locs {
			f.Level, f.Loc, f.Inline, f.depth = len(out), l, l.Inline, k
			// What another function is inlined into has no address of its own.
			f.LineStart = start || k > 0
			out = append(out, f)
		}
	}
	return out
}

// withTailCalls adds the frames of functions that left by a jump.
func (s *Session) withTailCalls(physical []unwind.Frame) []unwind.Frame {
	if s.image == nil {
		return physical
	}
	return unwind.TailCalls(s.mappings(), physical)
}

// returnsTo is the frame that the function of f returns to, nil for the
// outermost: one that is on the stack.
func (f *Frame) returnsTo() *unwind.Frame {
	for i := f.physical + 1; i < len(f.stack); i++ {
		if f.stack[i].How != unwind.CallSite {
			return &f.stack[i]
		}
	}
	return nil
}

// Resolve names a run-time address. For a return address pass the address minus
// one.
func (s *Session) Resolve(addr uint64) ([]symbolizer.Location, error) {
	if s.image == nil {
		return nil, ErrNoImage
	}
	m := s.mappingAt(addr)
	return m.Image.Resolve(m.Link(addr))
}

// Symbolize names the symbol a run-time address belongs to and the offset in it.
func (s *Session) Symbolize(addr uint64) (name string, off uint64, ok bool) {
	if s.image == nil {
		return "", 0, false
	}
	m := s.mappingAt(addr)
	link := m.Link(addr)
	sym, ok := m.Image.Symbol(link)
	if !ok {
		return "", 0, false
	}
	return symbolizer.Demangle(sym.Name), link - sym.Addr, true
}

// SectionName is the section a run-time address lies in, "" if none.
func (s *Session) SectionName(addr uint64) string {
	if s.image == nil {
		return ""
	}
	m := s.mappingAt(addr)
	sec, _ := m.Image.SectionAt(m.Link(addr))
	return sec.Name
}

// schedulers are the scheduler's own frames at the top of a switched-out
// thread's stack, which tell nothing of what the thread does.
var schedulers = []string{
	"ukarch_ctx_switch", "restore_point", "uk_sched_thread_switch", "uk_sched_yield", "uk_sched_thread_block",
	"schedcoop_yield", "schedcoop_schedule", "uk_thread_block_until", "uk_thread_block", "uk_thread_block_timeout",
}

// WhereText is the place of a thread in a line: the innermost function that is
// not the scheduler's, and two of its callers.
func (s *Session) WhereText(t Thread, frames []Frame, none string) string {
	if t.New {
		if name, _, ok := s.Symbolize(t.Entry); ok {
			return "will start in " + name
		}
	}
	i := 0
	for i < len(frames)-1 && (slices.Contains(schedulers, frames[i].Loc.Short()) || frames[i].Loc.Function == "") {
		i++
	}
	if i >= len(frames) {
		return none
	}
	var parts []string
	for k := i; k < len(frames) && len(parts) < 3; k++ {
		f := frames[k]
		if f.Loc.Function == "" {
			break
		}
		name := f.Loc.Short()
		if f.Loc.File != "" {
			name += fmt.Sprintf(" %s:%d", f.Loc.Base(), f.Loc.Line)
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%#x (%s)", frames[i].PC, frames[i].Why)
	}
	return strings.Join(parts, " ← ")
}
