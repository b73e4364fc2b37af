package ukdbg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target/arch"
)

// FaultReport is a fault with what the image tells about it.
type FaultReport struct {
	Fault *asserts.Fault
	// Functions are those of the backtrace, innermost first, for the
	// fingerprint.
	Functions []string
	// Stack is the backtrace with names and, where the sources are found, the
	// lines around each place.
	Stack []ReportFrame
	// Names gives names to the fault's addresses.
	Names asserts.Namer
	// Text is the whole for people, made safe for a terminal.
	Text string
}

// ReportFrame is one function of a fault's backtrace.
type ReportFrame struct {
	// PC is that of the machine's frame; a function inlined into another has that
	// one's.
	PC uint64
	asserts.Frame
	Source []asserts.SourceLine
}

// Fault explains the crash the guest is stopped in: from what its console ring
// says, and from the machine itself. asserts.ErrNoFault says that it shows none.
func (s *Session) Fault(ctx context.Context) (FaultReport, error) {
	return s.fault(ctx, s.printedFault(ctx), false)
}

// FaultAtPrompt is Fault for a person who types commands at this session: what to
// look at next is said in these and not in a shell's.
func (s *Session) FaultAtPrompt(ctx context.Context) (FaultReport, error) {
	return s.fault(ctx, s.printedFault(ctx), true)
}

// MachineFault explains the crash from the machine alone: registers, page
// tables, the trap's frame and the functions on the stack, as for a guest that
// keeps no console text, or whose text is not to be trusted.
func (s *Session) MachineFault(ctx context.Context) (FaultReport, error) {
	return s.fault(ctx, nil, false)
}

// fault explains the crash; f is what the guest printed of it, nil for nothing.
func (s *Session) fault(ctx context.Context, f *asserts.Fault, prompt bool) (FaultReport, error) {
	thread, err := s.CurrentThread(ctx, s.stopCPU)
	if err != nil {
		return FaultReport{}, err
	}
	physical, uerr := s.unwind(ctx, thread)
	if len(physical) == 0 {
		return FaultReport{}, fmt.Errorf("the stopped thread's stack: %w", uerr)
	}
	trap, later := s.faultFrame(ctx, physical)
	m := s.machineAt(ctx, thread, physical, trap)
	if later > 0 {
		// They tell of the later fault.
		for _, r := range []string{"cr2", "esr_el1", "far_el1", "elr_el1"} {
			delete(m.System, r)
		}
	}
	at := trap + m.Ending.Depth
	if f != nil && shownNoMore(f, physical[trap].PC) {
		return s.earlier(ctx, f, thread, prompt)
	}
	if f == nil {
		if f, err = asserts.Decode(ctx, m); err != nil {
			return FaultReport{}, err
		}
	} else {
		asserts.Refine(ctx, f, m)
	}
	if later > 0 && f.Source.Format == asserts.MachineFormat {
		s.follows(ctx, f, thread, physical, later)
	} else if s.inHandler(ctx, physical[trap:]) {
		f.Inferred = append(f.Inferred, "a fault in the handler of an earlier one, whose registers it overwrote: the earlier is the cause, and only the console tells it")
	}
	if how := s.standsBy(s.stopCPU); how != "" {
		f.Inferred = append(f.Inferred, "where it stands: "+how)
	}
	s.sourceTells(ctx, f, physical, at)
	// What was not printed is at hand here, and the machine's own stack goes
	// further than what was.
	f.NotPrinted = nil
	stack := slices.Clone(s.withTailCalls(physical[at:]))
	if at == trap {
		stack[0].Regs = m.Regs
	}
	f.Backtrace = backtraceOf(stack)
	s.sanitized(ctx, f, stack)
	x := explainer{ctx: ctx, s: s, f: f, frames: stack, mem: s.mem, thread: &thread, prompt: prompt, level: s.levelOf(physical, at)}
	x.explain()
	s.behindTrap(f)
	return s.report(f)
}

// levelOf is the level of the innermost function of a frame of the machine in the
// backtrace of its thread.
func (s *Session) levelOf(physical []unwind.Frame, at int) int {
	sp := physical[at].Regs.SP()
	return slices.IndexFunc(s.expand(physical), func(f Frame) bool { return f.PC == physical[at].PC && f.Regs.SP() == sp })
}

func backtraceOf(stack []unwind.Frame) []asserts.CodeAddr {
	out := make([]asserts.CodeAddr, 0, len(stack))
	for _, p := range stack {
		a := asserts.CodeAddr{Addr: p.PC, Kind: asserts.ReturnAddr}
		if p.LookupPC == p.PC {
			a.Kind = asserts.AtPC
		}
		if p.How == unwind.Scan {
			a.How = "found by scanning the stack"
		}
		out = append(out, a)
	}
	return out
}

// behindTrap says that the pc of an int3 stands behind it.
func (s *Session) behindTrap(f *asserts.Fault) {
	if f.Kind == asserts.Breakpoint && f.Arch == arch.X86_64 && len(f.Backtrace) > 0 && f.Backtrace[0].Kind == asserts.AtPC {
		f.Backtrace[0].Kind = asserts.ReturnAddr
		f.Instruction = "int3"
	}
}

// faultFrame is the index of the frame that faulted first: the one the outermost
// trap interrupted that is a fault, no interrupt and no system call, or the innermost
// of all.
// later is that of a fault in its handler, 0 if there was none.
func (s *Session) faultFrame(ctx context.Context, frames []unwind.Frame) (at, later int) {
	k, _ := s.kernel.(trapReader)
	for i := range frames {
		if !frames[i].Trap || i+1 >= len(frames) {
			continue
		}
		if at == 0 {
			if k == nil || !k.NoFault(ctx, frames[:i+1]) {
				at = i + 1
			}
			continue
		}
		if k == nil {
			break
		}
		if _, _, trap, code := k.TrapCause(ctx, frames[at:i+1]); (trap || code) && !k.NoFault(ctx, frames[at:i+1]) {
			if later == 0 {
				later = at
			}
			at = i + 1
		}
	}
	return at, later
}

// inHandler reports whether the innermost frame was called by the entry of a
// trap, of which no interrupted frame is left: traps that have a stack of their
// own begin it anew.
func (s *Session) inHandler(ctx context.Context, frames []unwind.Frame) bool {
	k, ok := s.kernel.(trapReader)
	const reach = 16
	for i := 2; ok && i <= min(len(frames), reach); i++ {
		if frames[i-1].Trap || i == len(frames) {
			_, _, trap, code := k.TrapCause(ctx, frames[:i])
			return (trap || code) && !k.NoFault(ctx, frames[:i])
		}
	}
	return false
}

// follows tells of a fault in the handler of another.
func (s *Session) follows(ctx context.Context, f *asserts.Fault, t Thread, frames []unwind.Frame, at int) {
	g, err := asserts.Decode(ctx, s.machineAt(ctx, t, frames, at))
	if err != nil {
		return // what it was is not known; that the handler was interrupted shows in the stack
	}
	g.Reason += " in the handler of the first, at " + s.named(g.PC.V)
	f.Consequences = append(f.Consequences, asserts.Consequence{Kind: g.Kind, Subkind: g.Subkind, Reason: g.Reason, Source: g.Source})
}

// sourceTells gives an explicit crash without a text what its source line says:
// an assertion, or the words of the crash.
func (s *Session) sourceTells(ctx context.Context, f *asserts.Fault, frames []unwind.Frame, at int) {
	if f.Kind != asserts.ExplicitCrash || f.Source.Format != asserts.MachineFormat || at >= len(frames) {
		return
	}
	locs, err := s.Resolve(frames[at].LookupPC)
	if err != nil || len(locs) == 0 {
		return
	}
	x := explainer{ctx: ctx, s: s, f: f, frames: frames[at:], mem: s.mem, funcs: map[uint64]*origin.Func{}}
	if find, fn, ok := x.finder(0); ok && fn.Shared(find.At) {
		f.Inferred = append(f.Inferred, fmt.Sprintf("one of several crashes of %s: the compiler has joined their ends, so %s:%d may be another's line",
			locs[0].Function, locs[0].File, locs[0].Line))
		return
	}
	text, err := s.SourceLines(locs[0].File, locs[0].Line, locs[0].Line)
	if err != nil || len(text) != 1 {
		return
	}
	if kind, says, ok := sourceWord(text[0]); ok {
		f.Kind, f.Reason = kind, says
		f.Inferred = append(f.Inferred, string(kind)+": from the source line")
	}
}

// printedFault is the last fault in the console log that was given with a dump,
// or in the guest's console ring, nil if none.
func (s *Session) printedFault(ctx context.Context) *asserts.Fault {
	if s.logged != nil {
		return s.logged
	}
	if s.kernel == nil {
		return nil
	}
	text, err := s.kernel.Log(ctx)
	if err != nil {
		return nil // most images have no ring; the machine tells then
	}
	var last *asserts.Fault
	sc := asserts.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		last = sc.Fault()
	}
	if last != nil {
		// Lines of a ring count from wherever it was overwritten last.
		last.Source = asserts.Source{Format: last.Source.Format}
		for i := range last.Consequences {
			last.Consequences[i].Source = asserts.Source{Format: last.Consequences[i].Source.Format}
		}
	}
	return last
}

// sourceFrames is how many frames of a report have their source lines.
const sourceFrames = 12

// PrintedFault explains a fault that was found in console text by what the report
// prints and by the session's image, without a guest. It adds to f what it finds out,
// and is to be called once for each.
func (s *Session) PrintedFault(ctx context.Context, f *asserts.Fault) (FaultReport, error) {
	s.loadTypes()
	if s.image != nil {
		if regs, ok := f.Regs(); ok {
			asserts.Refine(ctx, f, asserts.Machine{
				Regs: regs, Memory: imageMemory{s}, Symbol: s.Symbolize, Section: s.SectionName,
			})
		}
		frames := s.completeBacktrace(ctx, f, f.PrintedMemory())
		x := explainer{ctx: ctx, s: s, f: f, frames: frames, mem: printed{f.PrintedMemory(), imageMemory{s}}}
		x.explain()
		s.behindTrap(f)
	}
	return s.report(f)
}

// report renders a fault with the session's names and sources.
func (s *Session) report(f *asserts.Fault) (FaultReport, error) {
	var b strings.Builder
	n := namer{s}
	r := FaultReport{Fault: f, Names: n}
	for _, a := range f.Backtrace {
		for _, fr := range n.Frames(a.Lookup()) {
			r.Functions = append(r.Functions, fr.Function)
			rf := ReportFrame{PC: a.Addr, Frame: fr}
			if fr.Line > 0 && len(r.Stack) < sourceFrames {
				rf.Source = texter{s}.Lines(fr.File, fr.Line, 1)
			}
			r.Stack = append(r.Stack, rf)
		}
	}
	if err := asserts.Render(&b, f, asserts.RenderOptions{Names: n, Source: texter{s}}); err != nil {
		return r, err
	}
	r.Text = b.String()
	return r, nil
}

// ReadLog finds the faults in console text and calls found for each, in order.
// The image, if there is one, gives names and sources; its slide is the one the
// session knows, 0 without a guest.
func (s *Session) ReadLog(ctx context.Context, r io.Reader, found func(FaultReport) error) error {
	sc := asserts.NewScanner(r)
	for sc.Scan() {
		rep, err := s.PrintedFault(ctx, sc.Fault())
		if err != nil {
			return err
		}
		if err := found(rep); err != nil {
			return err
		}
	}
	return sc.Err()
}

// namer gives names to a fault's addresses.
type namer struct{ s *Session }

func (n namer) Frames(lookup uint64) []asserts.Frame {
	locs, err := n.s.Resolve(lookup)
	if err != nil {
		return nil
	}
	out := make([]asserts.Frame, 0, len(locs))
	for _, l := range locs {
		out = append(out, asserts.Frame{Function: l.Function, File: l.File, Line: l.Line, Inline: l.Inline})
	}
	return out
}

// Image names the image of the guest's own that an address is in.
func (n namer) Image(lookup uint64) string { return n.s.imageAt(lookup) }

// texter gives source text to a fault's report.
type texter struct{ s *Session }

func (t texter) Lines(file string, line, around int) []asserts.SourceLine {
	from := max(1, line-around)
	text, err := t.s.SourceLines(file, from, line+around)
	if err != nil {
		return nil
	}
	out := make([]asserts.SourceLine, 0, len(text))
	for i, l := range text {
		out = append(out, asserts.SourceLine{Number: from + i, Text: l})
	}
	return out
}

// IsNoFault reports whether an error says that the guest shows no fault.
func IsNoFault(err error) bool { return errors.Is(err, asserts.ErrNoFault) }
