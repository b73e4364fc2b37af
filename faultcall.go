package ukdbg

import (
	"fmt"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/asserts/origin"
	"github.com/ukdbg/ukdbg/target/insn"
)

// jumpCause tells which function pointer led into nowhere, or that it was no
// call that did.
func (x *explainer) jumpCause() {
	f := x.f
	to := f.PC.V
	if f.Address.Known {
		to = f.Address.V
	}
	if len(x.frames) < 2 {
		return
	}
	find, fn, ok := x.finder(1)
	if !ok {
		return
	}
	in, ok := fn.Before(x.frames[1].PC)
	if !ok {
		return
	}
	if in.Flow != insn.Call {
		x.because(fmt.Sprintf("a return to %#x: the return address on the stack was overwritten", to),
			"no call stands before the word at the stack pointer")
		return
	}
	if direct := in.Direct; direct {
		x.because(fmt.Sprintf("a jump to %#x from the function called at %s: its return address or a function pointer was overwritten", to, x.s.named(in.Addr)),
			"inferred from the call before the return address")
		return
	}
	// The callee has done nothing yet: all registers are as they were at the call.
	find.At = in.Addr
	for _, r := range x.s.arch.Regs {
		if v, ok := x.frames[0].Regs.Get(r.Num); ok && r.Num != x.s.arch.SP && r.Num != x.s.arch.PC {
			find.Regs.Set(r.Num, v)
		}
	}
	who, named := x.calledThrough(find, in)
	if !named {
		return
	}
	text := fmt.Sprintf("call of the function pointer %s, which ", who.Text)
	switch {
	case who.Const && to != 0:
		text = fmt.Sprintf("call of %#x, which the code has as a constant", to)
		if held := x.heldText(to, who, false); held != "" {
			text += ": " + held
		}
	case to == 0:
		text = fmt.Sprintf("call of a null function pointer: %s is NULL", who.Text)
	default:
		text += fmt.Sprintf("is %#x", to)
		if held := x.heldText(to, who, true); held != "" {
			text += ", " + held
		} else {
			text += ", where no code is"
		}
	}
	x.because(text, "inferred from the call instruction and its types")
}

// calledThrough names the function pointer an indirect call used.
func (x *explainer) calledThrough(find origin.Finder, in *insn.Instr) (origin.Named, bool) {
	if in.Via != insn.NoReg {
		return find.Register(in.Via, in.Addr)
	}
	if in.Access != insn.None {
		return find.Memory(in.Mem, in.Addr)
	}
	return origin.Named{}, false
}

// divideCause names the divisor that is zero.
func (x *explainer) divideCause() {
	if x.f.Subkind != asserts.SubDivideByZero {
		return
	}
	find, fn, ok := x.finder(0)
	if !ok {
		return
	}
	in, ok := fn.At(find.At)
	if !ok {
		return
	}
	var who origin.Named
	if in.Access != insn.None {
		who, ok = find.Memory(in.Mem, in.Addr)
	} else {
		who, ok = find.Register(in.Divisor, in.Addr)
	}
	if ok && !who.Const {
		x.because("division by zero: "+who.Text+" is 0", fromCode)
	}
}
