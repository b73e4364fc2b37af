package ukdbg

import (
	"context"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// explainer finds the cause of a fault and the object it is about, in what the
// machine or the log still has.
type explainer struct {
	ctx context.Context
	s   *Session
	f   *asserts.Fault
	// frames are those of the faulting thread, that of the fault first. It has
	// all its registers, the others those that calls keep.
	frames []unwind.Frame
	// mem is the guest's memory, or what a log printed of it.
	mem target.Memory
	// thread is the faulting thread, nil for a log.
	thread *Thread
	// level is that of the first of frames in the thread's backtrace, noLevel if it
	// is not on the stack any more. It is asked for with a thread alone.
	level int
	// prompt: a person types commands at the session.
	prompt bool
	funcs  map[uint64]*origin.Func
	// private are texts of the guest's memory that the cause may name.
	private []string
}

// explain adds cause, object, shadow and what to look at next.
func (x *explainer) explain() {
	x.funcs = map[uint64]*origin.Func{}
	if x.s.image != nil && len(x.frames) > 0 {
		x.instruction()
		x.cause()
	}
	x.f.Object = x.object(x.faultAddress())
	x.next()
}

// instruction shows the one that faulted.
func (x *explainer) instruction() {
	fr := &x.frames[0]
	if fr.LookupPC != fr.PC {
		return
	}
	var b [maxInstruction]byte
	n := 0
	for _, m := range []target.Memory{imageMemory{x.s}, x.mem} {
		for n = len(b); n > 0; n-- { // an image's section may end
			if got, err := m.ReadMemory(x.ctx, b[:n], fr.PC); err == nil && got == n {
				break
			}
		}
		if n > 0 {
			break
		}
	}
	if n > 0 {
		x.f.Instruction = decode(x.s.arch, b[:n], fr.PC, x.s.symname).Text
	}
}

// faultAddress is the address the fault is about, unknown for a jump: that is
// about code.
func (x *explainer) faultAddress() asserts.Word {
	if x.f.Access == asserts.Exec {
		return asserts.Word{}
	}
	if x.f.Address.Known {
		return x.f.Address
	}
	return x.f.InferredAddress
}

// cause sets Fault.Cause by what kind of fault it is.
func (x *explainer) cause() {
	f := x.f
	switch {
	case f.Access == asserts.Exec || f.Subkind == asserts.SubNullCall || f.Subkind == asserts.SubWildJump:
		x.jumpCause()
	case f.Kind == asserts.StackOverflow:
		x.overflowCause()
	case f.Kind == asserts.AddressSanitizer:
		x.sanitizerCause()
	case f.Kind == asserts.ControlFlowIntegrity:
		x.flowCause()
	case f.Kind == asserts.DivideError:
		x.divideCause()
	case f.Kind == asserts.StackSmash:
		x.canaryCause()
	case f.Kind == asserts.Assertion:
		x.assertionCause()
	case f.Kind == asserts.PageFault, f.Kind == asserts.GeneralProtection, f.Kind == asserts.ProtectionKey,
		f.Kind == asserts.Alignment, f.Kind == asserts.MemoryTag:
		x.pointerCause()
	}
}

// because sets the cause.
func (x *explainer) because(text, from string) {
	if x.f.Cause.Text == "" {
		public := text
		for _, p := range x.private {
			public = strings.ReplaceAll(public, p, "…")
		}
		x.f.Cause = asserts.Cause{Text: text, Public: public, From: from}
	}
}

// fromCode says that a cause was concluded from the code at pc.
const fromCode = "inferred from the instruction and its types"

// finder answers questions about frame i; pc is the instruction it stands at, or
// for a caller its return address. ok is false if its function is not known.
func (x *explainer) finder(i int) (find origin.Finder, fn *origin.Func, ok bool) {
	fr := &x.frames[i]
	_, start, end, err := x.s.FunctionRange(fr.LookupPC)
	if err != nil {
		return origin.Finder{}, nil, false
	}
	if fn, ok = x.funcs[start]; !ok {
		// The image's own bytes: the guest's may be patched, or not at hand.
		fn, err = origin.ReadFunc(x.ctx, x.s.arch, imageMemory{x.s}, start, end)
		if err != nil {
			fn, err = origin.ReadFunc(x.ctx, x.s.arch, x.mem, start, end)
		}
		if err != nil {
			return origin.Finder{}, nil, false
		}
		x.funcs[start] = fn
	}
	find = origin.Finder{Func: fn, Regs: x.registers(i), At: fr.PC, Symbols: x.s}
	if x.s.types != nil && x.s.mappingAt(fr.PC) == x.s.mapping {
		find.Reader = x.s.types.Reader(x.ctx, x.mem, x.s.mapping.Slide)
		find.Frame = func(pc uint64) *ctype.Frame {
			c := x.s.scopeFrame(x.ctx, x.frames, i, 0)
			c.Regs = find.Regs
			c.PC = x.s.mapping.Link(pc)
			c.LookupPC = c.PC
			return c
		}
	}
	return find, fn, true
}

// function names the function that frame i is a frame of, as the source does.
func (x *explainer) function(i int) (string, bool) {
	locs, err := x.s.Resolve(x.frames[i].LookupPC)
	if err != nil || len(locs) == 0 {
		return "", false
	}
	return locs[len(locs)-1].Function, true
}

// registers are those of frame i that can be trusted: in a caller only what a
// call keeps.
func (x *explainer) registers(i int) target.Regs {
	all := &x.frames[i].Regs
	if i == 0 && x.frames[0].LookupPC == x.frames[0].PC {
		return *all
	}
	a := x.s.arch
	out := target.NewRegs(a)
	for _, r := range append([]int{a.PC, a.SP, a.FP}, a.CalleeSaved...) {
		if v, ok := all.Get(r); ok {
			out.Set(r, v)
		}
	}
	return out
}

// regName is gdb's name of a register by its DWARF number.
func (x *explainer) regName(num int) string {
	for _, r := range x.s.arch.Regs {
		if r.Num == num {
			return r.Name
		}
	}
	return "a register"
}
