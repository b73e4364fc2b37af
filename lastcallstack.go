package ukdbg

import (
	"cmp"
	"context"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/cfi"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Of a word that looks like the return address of a call that never returns: whether
// the stack from there on is one.

// call takes the word at slot for the return address of a call of an endless
// function, if the stack from there on makes sense.
func (f *lastCalls) call(ctx context.Context, slot, ret, to uint64, sym symbolizer.Symbol) {
	for _, regs := range f.entered(ctx, slot, ret, to, sym) {
		frames, err := f.s.unwinder.Append(ctx, nil, f.s.mem, regs)
		if !leadsOn(frames, err) || !f.runs(frames) || f.begins(ret) && !through(frames) {
			continue
		}
		f.found = append(f.found, lastCall{regs, slot, sym.Name, slices.Clone(frames)})
		return
	}
}

// entered are the states in which a function may have been entered whose return
// address is at slot: on x86 the call put it there, on arm64 the function did,
// where its call frame information says. The frame pointer is read where the
// function has saved it.
func (f *lastCalls) entered(ctx context.Context, slot, ret, to uint64, sym symbolizer.Symbol) (out []target.Regs) {
	a := f.s.arch
	fpReg, raReg := arch.X86RBP, -1
	if a == arch.ARM64 {
		fpReg, raReg = arch.ARM64FP, arch.ARM64LR
	}
	add := func(sp uint64, fpAt uint64, saved bool) {
		regs := target.NewRegs(a)
		regs.Set(a.PC, to)
		regs.Set(a.SP, sp)
		if raReg >= 0 {
			regs.Set(raReg, ret)
		}
		if fp, err := target.ReadUint(ctx, f.s.mem, fpAt, 8); saved && err == nil {
			regs.Set(fpReg, fp)
		}
		if !slices.ContainsFunc(out, func(r target.Regs) bool { return r.SP() == regs.SP() && r.FP() == regs.FP() }) {
			out = append(out, regs)
		}
	}
	for _, row := range f.savedBy(sym) {
		if raReg < 0 {
			add(slot, slot+8+uint64(row.fp), row.fpSaved)
		} else if row.raSaved {
			cfa := slot - uint64(row.ra)
			add(cfa, cfa+uint64(row.fp), row.fpSaved)
		}
	}
	if raReg < 0 {
		add(slot, 0, false)
	}
	return out
}

// saves says where a function saved its caller's frame pointer and, on arm64,
// its return address, from its frame address.
type saves struct {
	fp, ra           int64
	fpSaved, raSaved bool
}

// mostCode bounds the code of a function that is looked through.
const mostCode = 4096

// savedBy lists the places, by call frame information, in the order of the code.
func (f *lastCalls) savedBy(sym symbolizer.Symbol) (out []saves) {
	if all, known := f.saved[sym.Addr]; known {
		return all
	}
	defer func() { f.saved[sym.Addr] = out }()
	table, err := f.s.image.CFI()
	if err != nil {
		return nil
	}
	fpReg, raReg := arch.X86RBP, -1
	if f.s.arch == arch.ARM64 {
		fpReg, raReg = arch.ARM64FP, arch.ARM64LR
	}
	var row cfi.Row
	for at := sym.Addr; at < sym.Addr+min(sym.Size, mostCode); at++ {
		if table.Row(at, &row) != nil {
			continue
		}
		var s saves
		if r := row.Rule(fpReg); r.Kind == cfi.Offset {
			s.fp, s.fpSaved = r.Off, true
		}
		if raReg >= 0 {
			if r := row.Rule(raReg); r.Kind == cfi.Offset {
				s.ra, s.raSaved = r.Off, true
			}
		}
		if (s.fpSaved || s.raSaved) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// begins reports whether a function begins at ret: a word that is as well its
// address, as that of a thread's entry on the stack, as a return address behind a
// call that ends the function before it.
func (f *lastCalls) begins(ret uint64) bool {
	sym, ok := f.s.image.Symbol(f.s.mapping.Link(ret))
	return ok && sym.Addr == f.s.mapping.Link(ret)
}

// through reports whether a stack leads on for so long, or to a trap's frame, that
// it is no chance.
func through(frames []unwind.Frame) bool {
	const callers = 4
	return len(frames) > callers || slices.ContainsFunc(frames, func(f unwind.Frame) bool { return f.Trap })
}

// wholeDepth is how many frames by call frame information are proof enough of a
// stack that does not end.
const wholeDepth = 16

// leadsOn reports whether a stack is one: by call frame information through to
// the frame of a trap, to where stacks begin, or for very long.
func leadsOn(frames []unwind.Frame, err error) bool {
	if len(frames) < 2 {
		return false
	}
	for i := 1; i < len(frames); i++ {
		if frames[i-1].Trap {
			return true
		}
		if frames[i].How != unwind.CFI {
			return false
		}
	}
	return err == nil || len(frames) >= wholeDepth
}

// maxThreadStack bounds what is taken for the size of a thread's stack.
const maxThreadStack = 1 << 20

// runs reports whether a stack is that of a thread that runs, where the stacks of
// those are known. Another may be left from before a reset.
func (f *lastCalls) runs(frames []unwind.Frame) bool {
	return len(f.current) == 0 || f.thread(frames) != 0
}

// thread is the address of the running thread on whose stack frames are, 0 if
// that is not known.
func (f *lastCalls) thread(frames []unwind.Frame) uint64 {
	for i := range frames {
		for _, t := range f.current {
			if sp := frames[i].Regs.SP(); sp >= t.Stack && sp-t.Stack < maxThreadStack {
				return t.Addr
			}
		}
	}
	return 0
}

// innermost leaves of calls on one stack the last.
func (f *lastCalls) innermost() (out []lastCall) {
	type place struct{ pc, sp uint64 }
	slices.SortFunc(f.found, func(a, b lastCall) int { return cmp.Compare(len(b.frames), len(a.frames)) })
	seen := map[place]bool{}
	for _, c := range f.found {
		// The caller tells them apart: the function itself was only entered.
		caller := &c.frames[1]
		if seen[place{caller.PC, caller.Regs.SP()}] {
			continue
		}
		for i := range c.frames[1:] {
			seen[place{c.frames[i+1].PC, c.frames[i+1].Regs.SP()}] = true
		}
		out = append(out, c)
	}
	return out
}
