package ctype

import (
	"debug/dwarf"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Scope is what can be named at one place of the code: the blocks around it,
// from the innermost to the function's own.
type Scope struct {
	// Function is the name of the function, which may be an inlined one.
	Function string
	// File is the main source file of the unit.
	File string
	// Entry is the link-time address of the function's first range, 0 for an
	// inlined one.
	Entry uint64

	ts *Types
	// blocks holds the entries of the blocks, innermost first; the last is
	// the function or the inlined call.
	blocks []*dies.Entry
	// outer is the subprogram the code belongs to.
	outer *dies.Entry
}

// unitFor finds the unit whose code holds a link-time address.
func (ts *Types) unitFor(pc uint64) *dies.Unit {
	for u := range ts.d.UnitsFor(pc) {
		if u.HasCode() {
			return u
		}
	}
	return nil
}

// FileAt returns the main source file of the unit whose code holds a link-time
// address.
func (ts *Types) FileAt(pc uint64) (string, bool) {
	u := ts.unitFor(pc)
	if u == nil {
		return "", false
	}
	return ts.unitFile(u), true
}

// Scope finds what is in scope at a link-time address. Of the calls inlined
// there, inline picks one, 0 the innermost.
func (ts *Types) Scope(pc uint64, inline int) (*Scope, error) {
	none := func(why string) error {
		return &NotFoundError{What: "function", Name: fmt.Sprintf("at %#x", pc), Why: why}
	}
	u := ts.unitFor(pc)
	if u == nil {
		return nil, none("no compiled unit has code there")
	}
	u, err := u.Full()
	if err != nil {
		return nil, err
	}
	root, err := ts.d.Root(u)
	if err != nil {
		return nil, err
	}
	fn, err := ts.childAt(root, pc, isFunction, 0)
	if err != nil {
		return nil, err
	}
	if fn == nil {
		return nil, none("its unit has no function there")
	}
	// The path from the function inwards.
	path := []*dies.Entry{fn}
	for len(path) < maxDepth {
		next, err := ts.childAt(path[len(path)-1], pc, isBlock, 0)
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		path = append(path, next)
	}
	s := &Scope{ts: ts, outer: fn, File: ts.unitFile(u)}
	level := 0
	for i := len(path) - 1; i >= 0; i-- {
		e := path[i]
		if level == inline {
			s.blocks = append(s.blocks, e)
		}
		if e.Tag == dwarf.TagInlinedSubroutine || i == 0 {
			if level == inline {
				break
			}
			level++
		}
	}
	if len(s.blocks) == 0 {
		return nil, none(fmt.Sprintf("only %d calls are inlined there", level-1))
	}
	top := s.blocks[len(s.blocks)-1]
	s.Function = ts.nameOf(top)
	if top.Tag == dwarf.TagSubprogram {
		if r := ts.d.Ranges(top); len(r) > 0 {
			s.Entry = r[0].Start
		}
	}
	return s, nil
}

func isFunction(tag dwarf.Tag) bool { return tag == dwarf.TagSubprogram }

func isBlock(tag dwarf.Tag) bool {
	return tag == dwarf.TagLexDwarfBlock || tag == dwarf.TagInlinedSubroutine
}

// childAt returns the child of e of a wanted kind whose code holds pc, or nil.
// Namespaces are looked into.
func (ts *Types) childAt(e *dies.Entry, pc uint64, want func(dwarf.Tag) bool, depth int) (*dies.Entry, error) {
	it := ts.d.Children(e)
	for it.Next() {
		c := it.Entry()
		if c.Tag == dwarf.TagNamespace && depth < 8 {
			ns, err := ts.d.Entry(c.Off)
			if err != nil {
				return nil, err
			}
			if found, err := ts.childAt(ns, pc, want, depth+1); found != nil || err != nil {
				return found, err
			}
			continue
		}
		if !want(c.Tag) {
			continue
		}
		for _, r := range ts.d.Ranges(c) {
			if pc >= r.Start && pc < r.End {
				return ts.d.Entry(c.Off)
			}
		}
	}
	return nil, it.Err()
}

// nameOf returns an entry's name, which may be that of what it is an instance of.
func (ts *Types) nameOf(e *dies.Entry) string {
	if n := ts.d.Name(e); n != "" {
		return n
	}
	if o := ts.origin(e); o != nil {
		return ts.d.Name(o)
	}
	return ""
}

// Function is a function of the image.
type Function struct {
	Name string
	Type *Type
	// Entry is the link-time address of its code, with HasCode.
	Entry   uint64
	HasCode bool
	Static  bool
	File    string
}

// FunctionNamed finds a function by name; one with code is preferred, then an
// external one.
func (ts *Types) FunctionNamed(name string) (Function, error) {
	ix, err := ts.index()
	if err != nil {
		return Function{}, err
	}
	var best Function
	bestRank := -1
	ix.each(name, classFunc, func(n *named) bool {
		f := ts.function(n)
		rank := 2*b2i(f.HasCode) + b2i(!f.Static)
		if rank > bestRank {
			best, bestRank = f, rank
		}
		return rank < 3
	})
	if bestRank < 0 {
		return Function{}, &NotFoundError{What: "function", Name: name}
	}
	return best, nil
}

// FunctionIn finds a function of a source file, as GlobalIn does a variable.
func (ts *Types) FunctionIn(file, name string) (Function, error) {
	ix, err := ts.fullIndex()
	if err != nil {
		return Function{}, err
	}
	var best Function
	found := false
	ix.each(name, classFunc, func(n *named) bool {
		if f := ts.function(n); MatchFile(f.File, file) && (!found || f.HasCode) {
			best, found = f, true
		}
		return true
	})
	if !found {
		return Function{}, &NotFoundError{What: "function", Name: name, Why: "not in " + file}
	}
	return best, nil
}

func (ts *Types) function(n *named) Function {
	f := Function{Name: n.name(), Static: !n.external}
	e, err := ts.d.Entry(n.off)
	if err != nil {
		f.Type = ts.bad(n.off, err)
		return f
	}
	f.File = ts.unitFile(e.Unit)
	f.Type = ts.functionType(e)
	if r := ts.d.Ranges(e); len(r) > 0 && r[0].Start != 0 {
		f.Entry, f.HasCode = r[0].Start, true
	}
	return f
}

// functionType returns the type of a function, from the entry that holds its
// parameters and result.
func (ts *Types) functionType(e *dies.Entry) *Type {
	if e.Attr(dwarf.AttrName) == nil {
		if o := ts.origin(e); o != nil {
			return ts.at(o.Off)
		}
	}
	return ts.at(e.Off)
}
