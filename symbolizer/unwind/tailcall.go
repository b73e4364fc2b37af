package unwind

import (
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target/arch"
)

// TailCalls adds the frames that are on no stack because their functions ended
// in a jump: where a frame is not that of the function its caller called, those
// between which debug information makes certain. Their How is CallSite, their PC
// the address behind the jump, and their registers are those the jump must have
// left. The frames given are not changed; they are returned as they are if
// nothing is to be added.
//
// As gdb does, this looks only where call frame information led from one frame to
// the next. The rules are those of symbolizer.Image.TailCalls.
func TailCalls(mods symbolizer.Mappings, frames []Frame) []Frame {
	var out []Frame
	for i := range frames {
		f := &frames[i]
		if out != nil {
			out = append(out, *f)
		}
		if i+1 == len(frames) || frames[i+1].How != CFI || f.Trap {
			continue
		}
		caller := &frames[i+1]
		m, ok := mods.Find(caller.LookupPC)
		if !ok {
			continue
		}
		jumps := m.Image.TailCalls(m.Link(caller.PC), m.Link(f.LookupPC))
		if len(jumps) > 0 && out == nil {
			out = slices.Clone(frames[:i+1])
		}
		for _, jump := range jumps {
			out = append(out, jumped(f, caller, m.Run(jump)))
		}
	}
	if out == nil {
		return frames
	}
	return out
}

// jumped is the frame of a function that the jump before pc ended.
func jumped(f, caller *Frame, pc uint64) Frame {
	t := Frame{PC: pc, LookupPC: pc - 1, CFA: f.CFA, Regs: caller.Regs, How: CallSite}
	a := t.Regs.Arch
	t.Regs.Set(a.PC, pc)
	// The stack is as it was at the entry of the function jumped to.
	sp := f.CFA
	if a == arch.X86_64 {
		sp -= 8 // the return address
	}
	t.Regs.Set(a.SP, sp)
	return t
}
