package ukdbg

import (
	"context"
	"slices"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
)

// completeBacktrace mends what a guest's own walk along the frame pointers
// leaves out: the callers of functions that keep no frame pointer, found by call
// frame information in the registers and the stack that were printed. The
// functions by which the guest ended itself are left out.
func (s *Session) completeBacktrace(ctx context.Context, f *asserts.Fault) {
	if regs, ok := f.Regs(); ok && len(f.Backtrace) > 0 && f.Backtrace[0].Kind == asserts.AtPC {
		frames, _ := unwind.New(symbolizer.Mappings{s.mapping}, unwind.Options{}).Append(ctx, nil, f.PrintedMemory(), regs)
		f.Backtrace = mergeBacktrace(f.Backtrace, frames)
	}
	var names []string
	for _, c := range f.Backtrace {
		name, _, _ := s.Symbolize(c.Lookup())
		names = append(names, name)
	}
	if e, ok := asserts.FindEnding(names); ok && e.Depth < len(f.Backtrace) {
		f.Backtrace = f.Backtrace[e.Depth:]
	}
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
