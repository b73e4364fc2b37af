package origin

import (
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target/insn"
)

// maxInline bounds the inlined calls whose variables are looked at.
const maxInline = 16

// Locals calls yield for the variables in scope at a run-time address, those
// of the innermost inlined call first.
func (x *Finder) Locals(pc uint64, yield func(ctype.Local, *ctype.Frame) bool) {
	if x.Reader == nil || x.Frame == nil {
		return
	}
	for inline := 0; inline < maxInline; inline++ {
		f := x.Frame(pc)
		if f == nil {
			return
		}
		f.Inline = inline
		scope, err := x.Reader.Types().Scope(f.LookupPC, inline)
		if err != nil {
			return
		}
		for _, l := range scope.Locals() {
			if !yield(l, f) {
				return
			}
		}
		if scope.Entry != 0 {
			return // the function itself
		}
	}
}

// variableIn finds the variable that is in a register at a run-time address. Of
// several a pointer is preferred.
func (x *Finder) variableIn(reg int, pc uint64) (Named, bool) {
	var best Named
	found := false
	x.Locals(pc, func(l ctype.Local, f *ctype.Frame) bool {
		// Which register, not what is in it: that may not be known any more.
		for _, r := range x.Func.arch.Regs {
			if _, known := f.Regs.Get(r.Num); !known {
				f.Regs.Set(r.Num, 0)
			}
		}
		v := l.Value(x.Reader, f)
		if v.Lval != ctype.InRegister || v.Reg != reg || v.BitSize != 0 {
			return true
		}
		if n := (Named{Text: l.Name, Type: l.Type}); !found || best.Elem() == nil && n.Elem() != nil {
			best, found = n, true
		}
		return best.Elem() == nil
	})
	return best, found
}

// onStack finds the variable that a memory operand relative to the stack or
// frame pointer is, or is part of.
func (x *Finder) onStack(m insn.Mem, at int) (Named, bool) {
	if m.Index != insn.NoReg || m.Base != x.Func.arch.SP && m.Base != x.Func.arch.FP {
		return Named{}, false
	}
	addr, ok := x.address(m, at)
	if !ok {
		return Named{}, false
	}
	var best Named
	found := false
	x.Locals(x.Func.instrs[at].Addr, func(l ctype.Local, f *ctype.Frame) bool {
		v := l.Value(x.Reader, f)
		size := l.Type.Size()
		if l.Static || v.Lval != ctype.InMemory || size <= 0 || addr < v.Addr || addr-v.Addr >= uint64(size) {
			return true
		}
		path, t, ok := Member(l.Type, int64(addr-v.Addr), m.Size)
		if !ok {
			return true
		}
		best, found = Named{Text: l.Name, Type: t, Held: addr, HeldKnown: true}, true
		if path != "" && path[0] != '[' {
			path = "." + path
		}
		best.Text += path
		return false
	})
	return best, found
}

// global names the pointer to what lies at a fixed address of the image.
func (x *Finder) global(addr uint64) (Named, bool) {
	if x.Symbols == nil {
		return Named{}, false
	}
	name, off, ok := x.Symbols.Symbolize(addr)
	if !ok {
		return Named{}, false
	}
	n := Named{Text: "&" + name, address: true}
	if x.Reader != nil {
		// Of several of the name it is the one at the address.
		if list, err := x.Reader.Types().GlobalsNamed(name); err == nil {
			for _, v := range list {
				if g := x.Reader.Variable(v); g.Lval == ctype.InMemory && g.Addr == addr-off {
					return named(n, name, v.Type, off)
				}
			}
		}
	}
	if off != 0 {
		return Named{}, false
	}
	return n, true
}

// named finishes a global of a known type.
func named(n Named, name string, t *ctype.Type, off uint64) (Named, bool) {
	if t == nil {
		return n, off == 0
	}
	if off == 0 && t.Strip().Kind == ctype.Array {
		n.Text, n.Type, n.address = name, t, false
		return n, true
	}
	path, member, ok := Member(t, int64(off), 0)
	if !ok {
		return Named{}, false
	}
	if path != "" && path[0] != '[' {
		path = "." + path
	}
	n.Text += path
	n.Type = ctype.PointerTo(member)
	return n, true
}
