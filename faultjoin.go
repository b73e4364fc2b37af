package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/asserts"
)

// ErrNoReport says that a console log has no fault report.
var ErrNoReport = errors.New("no fault report in the log")

// JoinFault explains the crash the guest is stopped in by its console log and by
// the machine itself: the log says, the machine proves. Of several reports the
// last one counts that the machine does not contradict; a warning only if there is no
// other.
func (s *Session) JoinFault(ctx context.Context, log io.Reader) (FaultReport, error) {
	sc := asserts.NewScanner(log)
	var last *asserts.Fault
	for sc.Scan() {
		if f := sc.Fault(); last == nil || f.Kind != asserts.Warning {
			last = f
		}
	}
	if err := sc.Err(); err != nil {
		return FaultReport{}, fmt.Errorf("reading the log: %w", err)
	}
	if last == nil {
		return FaultReport{}, ErrNoReport
	}
	if alone, err := s.MachineFault(ctx); err == nil && contradicts(alone.Fault, last) {
		alone.Fault.Inferred = append(alone.Fault.Inferred,
			fmt.Sprintf("the log's report at line %d (%s) is of another fault: it is left out", last.Source.FirstLine, last.Kind))
		return s.report(alone.Fault)
	}
	return s.fault(ctx, last, false)
}

// earlier explains a fault that the guest printed and that the machine shows no
// more, as its handler faulted too: with the printed registers and the machine's
// memory.
func (s *Session) earlier(ctx context.Context, f *asserts.Fault, t Thread, prompt bool) (FaultReport, error) {
	regs, _ := f.Regs()
	asserts.Refine(ctx, f, asserts.Machine{Regs: regs, Memory: s.mem, Symbol: s.Symbolize, Section: s.SectionName})
	x := explainer{ctx: ctx, s: s, f: f, frames: s.completeBacktrace(ctx, f, s.mem), mem: s.mem, thread: &t, prompt: prompt, level: noLevel}
	if len(x.frames) > len(f.Backtrace) {
		f.Backtrace = backtraceOf(x.frames)
	}
	x.explain()
	return s.report(f)
}

// shownNoMore says that the fault at which the machine stands is a later one than
// the one that was printed.
func shownNoMore(f *asserts.Fault, pc uint64) bool {
	return len(f.Consequences) > 0 && f.PC.Known && len(f.Registers) > 0 && f.PC.V != pc
}

// contradicts reports whether a log tells of another fault than the machine: at
// another pc, or in another thread. A fault that the guest reported and went on
// after is none: the machine's is among its consequences.
func contradicts(machine, log *asserts.Fault) bool {
	if len(log.Consequences) > 0 {
		return false
	}
	switch machine.Kind {
	case asserts.PageFault, asserts.GeneralProtection, asserts.DivideError, asserts.ProtectionKey, asserts.Alignment, asserts.DoubleFault:
		switch log.Kind {
		case asserts.Assertion, asserts.ExplicitCrash, asserts.StackSmash, asserts.AddressSanitizer:
			return true // that ends without a trap of this kind
		}
	}
	if log.Thread != "" && machine.Thread != "" && log.Thread != machine.Thread {
		return true
	}
	return len(log.Registers) > 0 && log.PC.Known && machine.PC.Known && log.PC.V != machine.PC.V
}
