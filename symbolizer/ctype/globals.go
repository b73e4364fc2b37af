package ctype

import (
	"cmp"
	"debug/dwarf"
	"fmt"
	"path"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Variable is a variable at file scope.
type Variable struct {
	Name string
	Type *Type
	// Addr is the link-time address; HasAddr is false for one the compiler
	// gave none.
	Addr    uint64
	HasAddr bool
	// Const holds the value of a variable that is only a constant, or nil.
	Const []byte
	// File is the main source file of its unit, joined with the directory of
	// the compilation.
	File string
	// Static: not visible outside its file.
	Static bool
	// TLS: Addr is an offset in each thread's own storage; HasAddr is false.
	TLS bool

	// expr, of unit, computes the value of one that optimization changed, as a
	// number kept as a flag; nil for others.
	expr []byte
	unit *dies.Unit
}

// Known reports whether the variable has a value that can be read.
func (v *Variable) Known() bool { return v.HasAddr || v.Const != nil || v.expr != nil }

// Global finds a variable at file scope. An external definition is preferred to
// a static one; of several static ones, the first in the image is meant
// (GlobalIn names the file).
func (ts *Types) Global(name string) (Variable, error) {
	ix, err := ts.index()
	if err != nil {
		return Variable{}, err
	}
	all, err := ts.globalsNamed(ix, name)
	if err != nil {
		return Variable{}, err
	}
	for _, v := range all {
		if v.Known() {
			return v, nil
		}
	}
	return all[0], nil
}

// GlobalIn finds a variable of the source file file, given by its name or the
// end of its path.
func (ts *Types) GlobalIn(file, name string) (Variable, error) {
	all, err := ts.GlobalsNamed(name)
	if err != nil {
		return Variable{}, err
	}
	for _, v := range all {
		if MatchFile(v.File, file) {
			return v, nil
		}
	}
	return Variable{}, &NotFoundError{What: "variable", Name: name, Why: "not in " + file + ", but in " + all[0].File}
}

// MatchFile reports whether want is the path full or the end of it, at whole
// components.
func MatchFile(full, want string) bool {
	if want == full {
		return true
	}
	n := len(full) - len(want)
	return want != "" && n > 0 && full[n:] == want && full[n-1] == '/'
}

// GlobalsNamed lists all variables of a name at file scope, external ones first,
// then those of the image's order; declarations only if there is nothing else.
func (ts *Types) GlobalsNamed(name string) ([]Variable, error) {
	ix, err := ts.fullIndex()
	if err != nil {
		return nil, err
	}
	return ts.globalsNamed(ix, name)
}

func (ts *Types) globalsNamed(ix index, name string) ([]Variable, error) {
	var defs, decls []Variable
	ix.each(name, classVar, func(n *named) bool {
		v, isDef := ts.variable(n)
		if isDef {
			defs = append(defs, v)
		} else {
			decls = append(decls, v)
		}
		return len(defs)+len(decls) < maxMembers
	})
	if len(defs) == 0 {
		defs = decls
	}
	if len(defs) == 0 {
		return nil, &NotFoundError{What: "variable", Name: name}
	}
	slices.SortStableFunc(defs, func(a, b Variable) int { return cmp.Compare(b2i(a.Static), b2i(b.Static)) })
	return defs, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Globals lists all variables at file scope that have a place, in the order of
// the image.
func (ts *Types) Globals() ([]Variable, error) {
	ix, err := ts.index()
	if err != nil {
		return nil, err
	}
	var out []Variable
	ix.variables(func(n *named) {
		if v, isDef := ts.variable(n); isDef {
			out = append(out, v)
		}
	})
	return out, nil
}

// variable reads a variable's entry; isDef tells a definition from a declaration.
func (ts *Types) variable(n *named) (v Variable, isDef bool) {
	v = Variable{Name: n.name(), Static: !n.external}
	e, err := ts.d.Entry(n.off)
	if err != nil {
		v.Type = ts.bad(n.off, err)
		return v, false
	}
	v.File = ts.unitFile(e.Unit)
	v.Type = ts.typeOf(e)
	if e.Attr(dwarf.AttrType) == nil {
		if o := ts.origin(e); o != nil {
			v.Type = ts.typeOf(o)
		}
	}
	if a := e.Attr(dwarf.AttrConstValue); a != nil {
		v.Const = constBytes(a, v.Type)
		return v, true
	}
	a := e.Attr(dwarf.AttrLocation)
	if a == nil || !a.IsBlock() {
		return v, !n.decl && e.Attr(dwarf.AttrSpecification) == nil
	}
	v.Addr, v.HasAddr, v.TLS = ts.staticAddr(e.Unit, a.B)
	if !v.HasAddr && !v.TLS && len(a.B) > 0 {
		v.expr, v.unit = a.B, e.Unit
	}
	if v.HasAddr && (v.Addr == 0 || v.Addr == ^uint64(0)) {
		// What the linker threw away keeps its entry, with an address of 0 or -1.
		v.Addr, v.HasAddr = 0, false
		return v, false
	}
	return v, true
}

// staticAddr evaluates the expressions that place a variable at a fixed address
// (DW_OP_addr, DW_OP_addrx, both with an optional DW_OP_plus_uconst) or in
// thread-local storage.
func (ts *Types) staticAddr(u *dies.Unit, expr []byte) (addr uint64, ok, tls bool) {
	const (
		opAddr       = 0x03
		opConst8u    = 0x0e
		opPlusUconst = 0x23
		opAddrx      = 0xa1
		opConstx     = 0xa2
		opFormTLS    = 0x9b
		opGNUTLS     = 0xe0
		opGNUAddrIdx = 0xfb
	)
	if len(expr) == 0 {
		return 0, false, false
	}
	rest := expr[1:]
	switch expr[0] {
	case opAddr, opConst8u:
		size := u.AddrSize()
		if expr[0] == opConst8u {
			size = 8
		}
		if len(rest) < size {
			return 0, false, false
		}
		addr = Extract(rest[:size], 0, 0, false)
		rest = rest[size:]
	case opAddrx, opConstx, opGNUAddrIdx:
		i, n := uleb(rest)
		if n == 0 {
			return 0, false, false
		}
		var found bool
		if addr, found = ts.d.AddrIndex(u, i); !found {
			return 0, false, false
		}
		rest = rest[n:]
	default:
		return 0, false, false
	}
	switch {
	case len(rest) == 0:
		return addr, expr[0] != opConst8u && expr[0] != opConstx, false
	case rest[0] == opFormTLS || rest[0] == opGNUTLS:
		return addr, false, true
	case rest[0] == opPlusUconst:
		k, n := uleb(rest[1:])
		return addr + k, n != 0 && n == len(rest)-1, false
	}
	return 0, false, false
}

// constBytes gives DW_AT_const_value as the bytes of a t.
func constBytes(a *dies.Attr, t *Type) []byte {
	size := int(min(max(t.Size(), 0), maxBlock))
	out := make([]byte, size)
	if a.B != nil {
		copy(out, a.B)
		return out
	}
	for i := range min(size, 8) {
		out[i] = byte(a.U >> (8 * i))
	}
	if int64(a.U) < 0 {
		for i := 8; i < size; i++ {
			out[i] = 0xff
		}
	}
	return out
}

// unitFile names the main source file of a unit.
func (ts *Types) unitFile(u *dies.Unit) string {
	root, err := ts.d.Root(u)
	if err != nil {
		return fmt.Sprintf("<unit %#x>", u.Offset)
	}
	name := ts.d.Name(root)
	if dir := ts.d.String(u, root.Attr(dwarf.AttrCompDir)); dir != "" && !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	return name
}
