package repl

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg"
)

var errNoFrame = errors.New("no frame: the selected thread has no readable stack")

// refresh reads the guest's state again if it ran since. The selected thread is
// kept if it still exists, else the one on the processor that stopped is taken.
func (r *REPL) refresh(ctx context.Context) error {
	if r.left {
		return errNoGuest
	}
	if r.epoch == r.s.Epoch() && r.frames != nil {
		return nil
	}
	if r.thread.ID != 0 {
		threads, err := r.s.Threads(ctx)
		if err != nil {
			return err
		}
		for _, t := range threads {
			if t.Same(r.thread) {
				before := r.current()
				err := r.choose(ctx, t)
				switch {
				case err != nil && r.s.Observing():
					return r.leaveThread(ctx, err)
				case err == nil && before != nil && r.s.Observing():
					r.stay(before)
				}
				return err
			}
		}
	}
	t, err := r.s.CurrentThread(ctx, r.s.StopCPU())
	if err != nil {
		return err
	}
	return r.choose(ctx, t)
}

// leaveThread selects another thread where the selected one of a guest that runs
// cannot be looked at just now: it is on a processor whose registers nobody tells.
func (r *REPL) leaveThread(ctx context.Context, why error) error {
	t, err := r.s.CurrentThread(ctx, r.s.StopCPU())
	if err != nil || t.Same(r.thread) {
		return why
	}
	if err := r.choose(ctx, t); err != nil {
		return why
	}
	r.printf("[%s; thread %d (%s) is selected]\n", Printable(why.Error()), t.ID, Printable(t.Name))
	return nil
}

// stay selects the frame of a guest that runs that was selected before it was
// looked at again: the same function, as far from the stack's outer end.
func (r *REPL) stay(before *ukdbg.Frame) {
	for i := range r.frames {
		if f := &r.frames[i]; f.CFA == before.CFA && f.Loc.Function == before.Loc.Function {
			r.frame = i
			return
		}
	}
	if before.Level > 0 {
		r.printf("[frame %d, %s, is gone; frame 0 is selected]\n", before.Level, Printable(before.Loc.Short()))
	}
}

// choose selects a thread and its innermost frame.
func (r *REPL) choose(ctx context.Context, t ukdbg.Thread) error {
	frames, err := r.s.Backtrace(ctx, t)
	if err != nil && len(frames) == 0 {
		return fmt.Errorf("thread %d (%s): %w", t.ID, t.Name, err)
	}
	r.thread, r.frames, r.frame = t, frames, 0
	r.epoch = r.s.Epoch()
	r.listFile, r.listLine = "", 0
	return nil
}

// follow forgets what was seen, keeping the selected thread.
func (r *REPL) follow() { r.frames = nil }

// current is the frame expressions are evaluated in.
func (r *REPL) current() *ukdbg.Frame {
	if r.frame < len(r.frames) {
		return &r.frames[r.frame]
	}
	return nil
}

// situation is one line: where the guest stands.
func (r *REPL) situation(ctx context.Context) string {
	where := "nowhere known"
	if len(r.frames) > 0 {
		where = r.shortPlace(r.frames[0])
	}
	verb := "stopped in"
	switch {
	case r.s.Observing():
		verb = "seen in"
	case !r.s.Live():
		verb = "dumped in"
	}
	text := fmt.Sprintf("%s thread %s at %s", verb, Printable(r.thread.Name), where)
	if threads, err := r.s.Threads(ctx); err == nil && r.s.HasKernel() {
		runnable := 0
		for _, t := range threads {
			if t.Runnable() {
				runnable++
			}
		}
		text += fmt.Sprintf(" · %d threads, %d runnable", len(threads), runnable)
	}
	return text
}

// shortPlace is "function file.c:12".
func (r *REPL) shortPlace(f ukdbg.Frame) string {
	name := r.frameName(f)
	if f.Loc.File != "" {
		return fmt.Sprintf("%s %s:%d", name, Printable(filepath.Base(f.Loc.File)), f.Loc.Line)
	}
	return name
}

func (r *REPL) frameName(f ukdbg.Frame) string {
	if f.Loc.Function == "" {
		return fmt.Sprintf("%#x ??", f.PC)
	}
	return Printable(f.Loc.Function)
}

// frameText is gdb's line for a frame. With args, argument values are shown.
func (r *REPL) frameText(f ukdbg.Frame, args bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%-3d", f.Level)
	b.WriteString(r.frameBody(f, args))
	return b.String()
}

func (r *REPL) frameBody(f ukdbg.Frame, args bool) string {
	var b strings.Builder
	// gdb shows the address where it is not the start of a line.
	if !f.LineStart {
		fmt.Fprintf(&b, "0x%016x in ", f.PC)
	}
	if f.Loc.Function == "" {
		fmt.Fprintf(&b, "?? ()")
		if f.Why != "" {
			fmt.Fprintf(&b, " [%s]", f.Why)
		}
	} else {
		fmt.Fprintf(&b, "%s%s%s (", r.bold(), Printable(f.Loc.Function), r.plain())
		if args {
			b.WriteString(Printable(r.s.ArgsText(context.Background(), f)))
		}
		b.WriteString(")")
	}
	if f.Loc.File != "" {
		fmt.Fprintf(&b, " at %s:%d", Printable(f.Loc.File), f.Loc.Line)
	}
	if f.Doubt != "" {
		fmt.Fprintf(&b, " %s(%s)%s", r.dim(), f.Doubt, r.plain())
	}
	return b.String()
}

// place names a code address: "0x1234: file a.c, line 3, function f".
func (r *REPL) place(addr uint64) string {
	locs, err := r.s.Resolve(addr)
	if err != nil || len(locs) == 0 {
		return fmt.Sprintf("%#x", addr)
	}
	l := locs[0]
	text := fmt.Sprintf("%#x", addr)
	if l.File != "" {
		text += fmt.Sprintf(": file %s, line %d", Printable(l.File), l.Line)
	}
	if l.Function != "" {
		text += ", in " + Printable(l.Function)
	}
	return text + "."
}

// stopped tells the person why and where the guest stopped.
func (r *REPL) stopped(ctx context.Context, rep ukdbg.StopReport, before ukdbg.Thread) error {
	if rep.Cause == ukdbg.CauseExit {
		r.printf("The guest ended with status %d.\n", rep.Signal)
		r.left = true
		return nil
	}
	r.follow()
	if rep.Cause != ukdbg.CauseStep {
		t, err := r.s.CurrentThread(ctx, rep.CPU)
		if err != nil {
			return err
		}
		if err := r.choose(ctx, t); err != nil {
			return err
		}
	} else if err := r.refresh(ctx); err != nil {
		return err
	}
	if !r.thread.Same(before) {
		r.printf("[Switching to thread %d (%s)]\n", r.thread.ID, Printable(r.thread.Name))
	}
	r.tellCause(rep)
	r.showFrame()
	for _, d := range r.displays {
		if err := r.showDisplay(ctx, d); err != nil {
			r.complain(err)
		}
	}
	for _, b := range rep.Hit {
		for _, line := range b.Commands {
			if err := r.Execute(ctx, line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *REPL) tellCause(rep ukdbg.StopReport) {
	switch rep.Cause {
	case ukdbg.CauseBreakpoint:
		for _, b := range rep.Hit {
			if !b.IsWatch() {
				word := "Breakpoint"
				if b.Temporary {
					word = "Temporary breakpoint"
				}
				r.printf("\n%s %d, ", word, b.ID)
				continue
			}
			r.printf("\n%s %d: %s\n\n", watchName(b.Kind), b.ID, Printable(b.Where))
			if rep.Old != nil {
				r.printf("Old value = %s\nNew value = %s\n", r.s.BytesText(b, rep.Old), r.s.BytesText(b, rep.New))
			} else {
				r.printf("Value = %s\n", r.s.BytesText(b, rep.New))
			}
		}
	case ukdbg.CauseInterrupt:
		r.printf("\nInterrupted.\n")
	case ukdbg.CauseForeign:
		r.printf("\nSomebody else stopped the guest.\n")
	case ukdbg.CauseSignal:
		r.printf("\nThe guest trapped: signal %d (%s).\n", rep.Signal, signalName(rep.Signal))
	}
}

// signalName names the GDB signals a stub of a bare machine sends.
func signalName(n int) string {
	names := map[int]string{2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 10: "SIGBUS", 11: "SIGSEGV"}
	if s, ok := names[n]; ok {
		return s
	}
	return "no name here"
}

// showFrame prints the selected frame and its source line.
func (r *REPL) showFrame() {
	f := r.current()
	if f == nil {
		return
	}
	r.printf("%s\n", r.frameBody(*f, true))
	if f.Loc.Line == 0 {
		return
	}
	if lines, err := r.s.SourceLines(f.Loc.File, f.Loc.Line, f.Loc.Line); err == nil && len(lines) == 1 {
		r.printf("%d\t%s\n", f.Loc.Line, Printable(lines[0]))
	}
}

// pollEvents tells what happened to the guest while nobody looked.
func (r *REPL) pollEvents(ctx context.Context) {
	if r.left {
		return
	}
	for _, n := range r.s.Poll(ctx) {
		r.printf("%s\n", Printable(n))
	}
}

func (r *REPL) readMore(ctx context.Context) (string, error) { return r.opt.In.ReadLine(ctx, ">") }
