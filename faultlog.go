package ukdbg

import (
	"context"
	"slices"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// completeBacktrace mends what a guest's own walk along the frame pointers
// leaves out: the callers of functions that keep no frame pointer, found by call
// frame information in the registers and the stack that were printed. The
// functions by which the guest ended itself are left out.
// mem is what is known of the stack. It returns the frames whose registers are known, that of the fault first.
func (s *Session) completeBacktrace(ctx context.Context, f *asserts.Fault, mem target.Memory) (frames []unwind.Frame) {
	if regs, ok := f.Regs(); ok && len(f.Backtrace) > 0 && f.Backtrace[0].Kind == asserts.AtPC {
		u := unwind.New(symbolizer.Mappings{s.mapping}, unwind.Options{})
		frames, _ = u.Append(ctx, nil, mem, regs)
		if caller := f.Backtrace[min(1, len(f.Backtrace)-1)]; len(frames) == 1 && caller.Kind == asserts.ReturnAddr {
			frames = append(frames, s.intoNowhere(ctx, u, f, mem, regs, caller)...)
		}
		f.Backtrace = mergeBacktrace(f.Backtrace, frames)
	}
	var names []string
	for _, c := range f.Backtrace {
		name, _, _ := s.Symbolize(c.Lookup())
		names = append(names, name)
	}
	if e, ok := asserts.FindEnding(names); ok && e.Depth < len(f.Backtrace) {
		f.Backtrace = f.Backtrace[e.Depth:]
		frames = frames[min(e.Depth, len(frames)):]
	}
	return frames
}

// intoNowhere unwinds from the caller of a function that is none: its call has
// pushed a return address and done nothing else.
func (s *Session) intoNowhere(ctx context.Context, u *unwind.Unwinder, f *asserts.Fault, mem target.Memory, regs target.Regs, caller asserts.CodeAddr) []unwind.Frame {
	if _, _, ok := s.Symbolize(f.PC.V); ok {
		return nil
	}
	regs.Set(s.arch.PC, caller.Addr)
	if s.arch.LR == arch.None {
		regs.Set(s.arch.SP, regs.SP()+8)
	}
	frames, _ := u.Append(ctx, nil, mem, regs)
	if len(frames) > 0 {
		frames[0].LookupPC = caller.Lookup()
	}
	return frames
}

// printed is the memory a report printed, and the image's read-only data.
type printed struct{ report, image target.Memory }

func (m printed) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	if n, err := m.report.ReadMemory(ctx, p, addr); err == nil {
		return n, nil
	}
	return m.image.ReadMemory(ctx, p, addr)
}

// mergeBacktrace puts the frames found exactly before the first printed entry
// that is one of them, or behind the first entry if none is.
func mergeBacktrace(printed []asserts.CodeAddr, frames []unwind.Frame) []asserts.CodeAddr {
	var found []asserts.CodeAddr
	for i := 1; i < len(frames) && frames[i].How == unwind.CFI; i++ {
		at := slices.IndexFunc(printed, func(c asserts.CodeAddr) bool { return c.Lookup() == frames[i].LookupPC })
		if at > 0 {
			return slices.Concat(printed[:1], found, printed[at:])
		}
		found = append(found, asserts.CodeAddr{Addr: frames[i].PC, Kind: asserts.ReturnAddr})
	}
	return slices.Concat(printed[:1], found, printed[1:])
}
