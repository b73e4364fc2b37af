package origin

import (
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/insn"
)

// Symbols names addresses; all are run-time ones.
type Symbols interface {
	// Symbolize returns the symbol an address lies in and the offset in it.
	Symbolize(addr uint64) (name string, off uint64, ok bool)
}

// Finder answers questions about one frame of a stack.
type Finder struct {
	// Func is the code of the frame's function.
	Func *Func
	// Regs are the registers of the frame at At, an instruction of Func: all of
	// them in the innermost frame, in others those a call keeps.
	Regs target.Regs
	At   uint64
	// Reader has the types and reads variables; nil without debug information.
	Reader *ctype.Reader
	// Frame returns the frame as if it stood at a run-time address of Func,
	// with its registers as they are.
	Frame func(pc uint64) *ctype.Frame
	// Symbols names globals and functions; it may be nil.
	Symbols Symbols
}

// Named is what a register or a piece of memory is in C.
type Named struct {
	// Text is a C expression: "r->conn".
	Text string
	// Type is its type, nil if that is not known.
	Type *ctype.Type
	// Held is the address in the guest's memory it was read from, if HeldKnown.
	Held      uint64
	HeldKnown bool
	// Result names the function whose result it is, "" if it is none.
	Result string
	// Const says that the code has the value as a constant.
	Const bool
	Value uint64 // of a constant
	// address: Text is a pointer written as &object.
	address bool
}

// Elem returns what a pointer points to, nil if it is no pointer or not known.
func (n Named) Elem() *ctype.Type {
	if n.Type == nil {
		return nil
	}
	t := n.Type.Strip()
	if t.Kind != ctype.Pointer && t.Kind != ctype.Array && t.Kind != ctype.Reference {
		return nil
	}
	return t.Elem()
}

// maxDepth bounds how many loads and copies one answer is made of.
const maxDepth = 8

// Register names what a register held before the instruction at pc.
func (x *Finder) Register(reg int, pc uint64) (Named, bool) {
	at, ok := x.Func.byAddr[pc]
	if !ok || reg == insn.NoReg {
		return Named{}, false
	}
	return x.register(reg, at, 0)
}

// Memory names what is in the memory an instruction's operand names.
func (x *Finder) Memory(m insn.Mem, pc uint64) (Named, bool) {
	at, ok := x.Func.byAddr[pc]
	if !ok {
		return Named{}, false
	}
	return x.memory(m, at, 0)
}

func (x *Finder) register(reg, at, depth int) (Named, bool) {
	if depth > maxDepth {
		return Named{}, false
	}
	if n, ok := x.variableIn(reg, x.Func.instrs[at].Addr); ok {
		return n, true
	}
	by, entry, ok := x.Func.writer(reg, at)
	if !ok || entry {
		return Named{}, false
	}
	in := &x.Func.instrs[by]
	e, known := in.Effect(reg)
	if !known {
		return x.result(in, reg)
	}
	switch e.Kind {
	case insn.Copied:
		return x.register(e.Src, by, depth+1)
	case insn.Constant:
		return x.constant(uint64(e.Imm)), true
	case insn.Loaded:
		n, ok := x.memory(e.Mem, by, depth+1)
		return n, ok
	case insn.Summed:
		return x.sum(e, by, depth)
	case insn.Inserted:
		if old, ok := x.register(e.Src, by, depth+1); ok && old.Const {
			return x.constant(insert(old.Value, e)), true
		}
	}
	return Named{}, false
}

// insert is what arm64's movk does.
func insert(old uint64, e insn.Effect) uint64 {
	return old&^(0xffff<<e.Shift) | uint64(e.Imm)<<e.Shift
}

// result names what a call gave back.
func (x *Finder) result(in *insn.Instr, reg int) (Named, bool) {
	if in.Flow != insn.Call || reg != 0 || !in.Direct || x.Symbols == nil {
		return Named{}, false // rax and x0 are both DWARF number 0
	}
	name, off, ok := x.Symbols.Symbolize(in.Target)
	if !ok || off != 0 {
		return Named{}, false
	}
	n := Named{Text: name + "()", Result: name}
	if x.Reader != nil {
		if fn, err := x.Reader.Types().FunctionNamed(name); err == nil && fn.Type != nil {
			n.Type = fn.Type.Elem()
		}
	}
	return n, true
}

// constant names an address the code has as a constant, or the number itself.
func (x *Finder) constant(v uint64) Named {
	n := Named{Const: true, Value: v}
	if v == 0 {
		n.Text = "NULL"
		return n
	}
	if g, ok := x.global(v); ok {
		g.Const, g.Value = true, v
		return g
	}
	n.Text = hex(v)
	return n
}

// sum names base + displacement: the address of a member, mostly.
func (x *Finder) sum(e insn.Effect, by, depth int) (Named, bool) {
	if e.Src == insn.NoReg && e.Index == insn.NoReg {
		return x.constant(uint64(e.Imm)), true
	}
	m := insn.Mem{Base: e.Src, Index: e.Index, Shift: e.Shift, Disp: e.Imm}
	// adrp x8, page; add x8, x8, #offset: one constant.
	if e.Index == insn.NoReg {
		if base, ok := x.register(e.Src, by, depth+1); ok && base.Const {
			return x.constant(base.Value + uint64(e.Imm)), true
		}
	}
	n, ok := x.memory(m, by, depth+1)
	if !ok {
		return x.element(e, by, depth)
	}
	return n.addressOf(), true
}

// element names the address of an element of an array that starts at a constant.
func (x *Finder) element(e insn.Effect, by, depth int) (Named, bool) {
	base := Named{Const: true}
	if e.Src != insn.NoReg {
		var ok bool
		if base, ok = x.register(e.Src, by, depth+1); !ok || !base.Const {
			return Named{}, false
		}
	}
	if e.Index == insn.NoReg {
		return Named{}, false
	}
	index := "…"
	if i, ok := x.register(e.Index, by, depth+1); ok {
		index = i.Text
	}
	return Named{Text: fmt.Sprintf("&(%#x)[%s]", base.Value+uint64(e.Imm), index), address: true}, true
}

// addressOf is the pointer to what n names.
func (n Named) addressOf() Named {
	out := Named{Text: "&" + n.Text, address: true}
	if rest, ok := cutDeref(n.Text); ok {
		out.Text, out.address = rest, false
	}
	if n.Type != nil {
		if n.Type.Strip().Kind == ctype.Array {
			out.Text, out.address, out.Type = n.Text, false, n.Type
			return out
		}
		out.Type = ctype.PointerTo(n.Type)
	}
	return out
}

// cutDeref takes the * off "*p".
func cutDeref(s string) (string, bool) {
	if len(s) > 1 && s[0] == '*' {
		return s[1:], true
	}
	return s, false
}
