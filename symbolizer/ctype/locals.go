package ctype

import (
	"debug/dwarf"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Local is a variable or parameter of a function.
type Local struct {
	Name string
	Type *Type
	// Param: a parameter rather than a variable.
	Param bool
	// Block counts the blocks between the place asked about and the one that
	// declares the variable, 0 for the innermost.
	Block int
	// Static: it lives at a fixed address.
	Static bool

	ts    *Types
	entry *dies.Entry // the concrete entry, or nil if there is none
	scope *Scope
}

// maxLocals bounds the variables of one function.
const maxLocals = 1 << 14

// Locals lists the variables and parameters in scope, those of the innermost
// block first, within a block in the order of the source. A variable that only
// the abstract form of an inlined function has is listed too: it was optimized
// out here.
func (s *Scope) Locals() []Local {
	var out []Local
	for depth, b := range s.blocks {
		out = s.ts.localsOf(out, s, b, depth)
	}
	return out
}

// Local finds the innermost variable or parameter of a name.
func (s *Scope) Local(name string) (Local, bool) {
	for _, l := range s.Locals() {
		if l.Name == name {
			return l, true
		}
	}
	return Local{}, false
}

// Params lists the parameters of the function.
func (s *Scope) Params() []Local {
	var out []Local
	for _, l := range s.Locals() {
		if l.Param {
			out = append(out, l)
		}
	}
	return out
}

func (ts *Types) localsOf(out []Local, s *Scope, b *dies.Entry, depth int) []Local {
	for it := ts.d.Children(b); len(out) < maxLocals && it.Next(); {
		if c := it.Entry(); c.Tag == dwarf.TagVariable || c.Tag == dwarf.TagFormalParameter {
			if l, ok := ts.local(s, c.Off, depth); ok {
				out = append(out, l)
			}
		}
	}
	off, ok := ts.d.Ref(b.Attr(dwarf.AttrAbstractOrigin))
	if !ok {
		return out
	}
	o, err := ts.d.Entry(off)
	if err != nil {
		return out
	}
	concrete := make(map[uint64]bool)
	ts.originsIn(concrete, b, 0)
	return ts.onlyAbstract(out, s, o, concrete, depth, 0)
}

// originsIn notes which abstract variables, parameters and blocks those in b and
// its blocks are instances of.
func (ts *Types) originsIn(all map[uint64]bool, b *dies.Entry, nested int) {
	for it := ts.d.Children(b); len(all) < maxLocals && it.Next(); {
		c := it.Entry()
		switch c.Tag {
		case dwarf.TagVariable, dwarf.TagFormalParameter, dwarf.TagLexDwarfBlock:
		default:
			continue
		}
		if off, ok := ts.d.Ref(c.Attr(dwarf.AttrAbstractOrigin)); ok {
			all[off] = true
		}
		if full, err := ts.d.Entry(c.Off); err == nil && c.Tag == dwarf.TagLexDwarfBlock && nested < maxDepth {
			ts.originsIn(all, full, nested+1)
		}
	}
}

// onlyAbstract adds what an abstract block declares and its instance has nothing
// of: an instance need not repeat what there is no more to say of (DWARF 5,
// section 3.3.8.2). So may whole blocks be missing, as clang leaves those out
// whose variables are all optimized out; where their code was is not known.
func (ts *Types) onlyAbstract(out []Local, s *Scope, o *dies.Entry, concrete map[uint64]bool, depth, nested int) []Local {
	for it := ts.d.Children(o); len(out) < maxLocals && it.Next(); {
		c := it.Entry()
		if concrete[c.Off] {
			continue
		}
		switch c.Tag {
		case dwarf.TagVariable, dwarf.TagFormalParameter:
			if l, ok := ts.local(s, c.Off, depth); ok {
				out = append(out, l)
			}
		case dwarf.TagLexDwarfBlock:
			full, err := ts.d.Entry(c.Off)
			if err == nil && nested < maxDepth && full.Attr(dwarf.AttrLowpc) == nil && full.Attr(dwarf.AttrRanges) == nil {
				out = ts.onlyAbstract(out, s, full, concrete, depth, nested+1)
			}
		}
	}
	return out
}

// local reads the entry of a variable; ok is false for a mere declaration.
func (ts *Types) local(s *Scope, off uint64, depth int) (Local, bool) {
	e, err := ts.d.Entry(off)
	if err != nil || e.Flag(dwarf.AttrDeclaration) || e.Flag(dwarf.AttrExternal) && e.Attr(dwarf.AttrLocation) == nil {
		return Local{}, false
	}
	l := Local{Name: ts.d.Name(e), Type: ts.typeOf(e), Param: e.Tag == dwarf.TagFormalParameter, Block: depth, ts: ts, entry: e, scope: s}
	for range maxDepth {
		ref, ok := ts.d.Ref(e.Attr(dwarf.AttrAbstractOrigin))
		if !ok {
			break
		}
		if e, err = ts.d.Entry(ref); err != nil {
			break
		}
		if l.Name == "" {
			l.Name = ts.d.Name(e)
		}
		if e.Attr(dwarf.AttrType) != nil && l.entry.Attr(dwarf.AttrType) == nil {
			l.Type = ts.typeOf(e)
		}
	}
	for _, at := range []*dies.Entry{l.entry, e} {
		// A static of an inlined function has its place in the abstract form.
		if at == nil {
			continue
		}
		if a := at.Attr(dwarf.AttrLocation); a != nil && a.IsBlock() {
			_, l.Static, _ = ts.staticAddr(at.Unit, a.B)
		}
	}
	return l, l.Name != ""
}

// Value returns the variable in a frame. One without a place carries an error
// that errors.Is(err, ErrOptimizedOut).
func (l Local) Value(r *Reader, f *Frame) Value {
	e := l.entry
	if a := e.Attr(dwarf.AttrConstValue); a != nil {
		return r.Make(l.Type, constBytes(a, l.Type))
	}
	a := e.Attr(dwarf.AttrLocation)
	if a == nil {
		// A static in an inlined function has its place in the abstract form.
		if off, ok := l.ts.d.Ref(e.Attr(dwarf.AttrAbstractOrigin)); ok {
			if o, err := l.ts.d.Entry(off); err == nil {
				if c := o.Attr(dwarf.AttrConstValue); c != nil {
					return r.Make(l.Type, constBytes(c, l.Type))
				}
				a = o.Attr(dwarf.AttrLocation)
			}
		}
	}
	if a == nil {
		return r.FailType(l.Type, ErrOptimizedOut)
	}
	locs, err := l.ts.d.Locations(e.Unit, a)
	if err != nil {
		return r.FailType(l.Type, err)
	}
	// In a caller it is the place at the call itself that counts: the code behind
	// it may belong to another path, where the call does not return to it, and a
	// place there may hold anything.
	if expr, ok := pick(locs, f.LookupPC); ok && len(expr) > 0 {
		x := &evaluator{ts: l.ts, r: r, frame: f, unit: e.Unit, fn: l.scope.outer}
		return x.object(l.Type, expr)
	}
	return r.FailType(l.Type, ErrOptimizedOut)
}

// pick returns the expression that holds at a link-time address.
func pick(locs []dies.Location, pc uint64) ([]byte, bool) {
	for _, l := range locs {
		if !l.Default && pc >= l.Low && pc < l.High {
			return l.Expr, true
		}
	}
	for _, l := range locs {
		if l.Default {
			return l.Expr, true
		}
	}
	return nil, false
}

// StaticIn finds a static variable of a function, in any of its blocks.
func (ts *Types) StaticIn(f Function, name string) (Local, bool) {
	s, err := ts.Scope(f.Entry, 0)
	if err != nil {
		return Local{}, false
	}
	return ts.staticIn(s, s.outer, name, 0)
}

func (ts *Types) staticIn(s *Scope, b *dies.Entry, name string, depth int) (Local, bool) {
	if depth >= maxDepth {
		return Local{}, false
	}
	for _, l := range ts.localsOf(nil, s, b, depth) {
		if l.Name == name && l.Static {
			return l, true
		}
	}
	parents := []*dies.Entry{b}
	if off, ok := ts.d.Ref(b.Attr(dwarf.AttrAbstractOrigin)); ok {
		if o, err := ts.d.Entry(off); err == nil {
			parents = append(parents, o)
		}
	}
	for _, parent := range parents {
		it := ts.d.Children(parent)
		for it.Next() {
			c := it.Entry()
			if c.Tag != dwarf.TagLexDwarfBlock {
				continue
			}
			full, err := ts.d.Entry(c.Off)
			if err != nil {
				continue
			}
			if l, ok := ts.staticIn(s, full, name, depth+1); ok {
				return l, true
			}
		}
	}
	return Local{}, false
}
