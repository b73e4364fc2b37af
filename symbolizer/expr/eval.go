package expr

import (
	"errors"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// Eval evaluates a C expression. What it reads lazily may fail later, in the
// value.
func (e *Env) Eval(src string) (ctype.Value, error) {
	n, typ, err := e.parse(src)
	if err != nil {
		return ctype.Value{}, err
	}
	if typ != nil {
		return ctype.Value{}, errorf("Attempt to use a type as an expression")
	}
	v, err := e.eval(n)
	if err != nil {
		return v, memoryError(err)
	}
	if v.Type.Name == dataNoDebug {
		return v, errorf("'%s' has unknown type; cast it to its declared type", strings.TrimSpace(src))
	}
	return v, nil
}

// EvalUint evaluates an expression to an address or number.
func (e *Env) EvalUint(src string) (uint64, error) {
	v, err := e.Eval(src)
	if err != nil {
		return 0, err
	}
	if t := v.Type.Strip(); t.Kind == ctype.Float {
		f, err := v.Float()
		return uint64(int64(f)), memoryError(err)
	}
	x, err := v.Uint()
	return x, memoryError(err)
}

// EvalBool evaluates a condition.
func (e *Env) EvalBool(src string) (bool, error) {
	v, err := e.Eval(src)
	if err != nil {
		return false, err
	}
	b, err := truth(v)
	return b, memoryError(err)
}

// Names gdb gives to what has a symbol and no debugging information.
const (
	textNoDebug = "<text variable, no debug info>"
	dataNoDebug = "<data variable, no debug info>"
)

func (e *Env) eval(n node) (ctype.Value, error) {
	r := e.Reader
	switch n := n.(type) {
	case literal:
		return r.Make(n.typ, n.data), nil
	case name:
		return e.lookup(n)
	case dollar:
		return e.dollar(n.name)
	case unary:
		return e.unary(n)
	case binaryOp:
		x, err := e.eval(n.x)
		if err != nil {
			return x, err
		}
		y, err := e.eval(n.y)
		if err != nil {
			return y, err
		}
		return e.binary(n.op, x, y)
	case logical:
		return e.logical(n)
	case cond:
		c, err := e.evalTruth(n.c)
		if err != nil {
			return ctype.Value{}, err
		}
		if c {
			return e.eval(n.x)
		}
		return e.eval(n.y)
	case comma:
		if x, err := e.eval(n.x); err != nil {
			return x, err
		}
		return e.eval(n.y)
	case assign:
		return e.assign(n)
	case cast:
		x, err := e.eval(n.x)
		if err != nil {
			return x, err
		}
		return e.cast(x, n.typ)
	case sizeofType:
		return r.MakeInt(ulongType, uint64(n.typ.Size())), nil
	case sizeofExpr:
		x, err := e.evalType(n.x)
		if err != nil {
			return x, err
		}
		return r.MakeInt(ulongType, uint64(x.Type.Size())), nil
	case member:
		x, err := e.eval(n.x)
		if err != nil {
			return x, err
		}
		return e.member(x, n.name)
	case index:
		x, err := e.eval(n.x)
		if err != nil {
			return x, err
		}
		i, err := e.eval(n.i)
		if err != nil {
			return i, err
		}
		return e.index(x, i)
	}
	return ctype.Value{}, errors.New("internal error: unknown node")
}

// evalType evaluates for the type alone: a value that is not to be had is fine.
func (e *Env) evalType(n node) (ctype.Value, error) {
	v, err := e.eval(n)
	if err != nil && v.Type != nil && v.Err() != nil && (v.Type.Kind != ctype.Void || errors.Is(err, errGeneric)) {
		return v, nil
	}
	return v, err
}

// errGeneric is the value of what a void pointer points to; its type is known.
var errGeneric = errorf("Attempt to dereference a generic pointer.")

func (e *Env) evalTruth(n node) (bool, error) {
	v, err := e.eval(n)
	if err != nil {
		return false, err
	}
	return truth(v)
}

func truth(v ctype.Value) (bool, error) {
	if v.Type.Strip().Kind == ctype.Float {
		f, err := v.Float()
		return f != 0, err
	}
	return v.Bool()
}

func (e *Env) logical(n logical) (ctype.Value, error) {
	x, err := e.evalTruth(n.x)
	if err == nil && x == n.and {
		x, err = e.evalTruth(n.y)
	}
	return e.boolean(x), err
}

func (e *Env) boolean(b bool) ctype.Value {
	if b {
		return e.Reader.MakeInt(intType, 1)
	}
	return e.Reader.MakeInt(intType, 0)
}

// member is x.name and x->name, which gdb does not tell apart.
func (e *Env) member(x ctype.Value, field string) (ctype.Value, error) {
	if err := x.Err(); err != nil {
		return x, err
	}
	t := x.Type.Strip()
	if t.Kind == ctype.Pointer {
		p, err := x.Pointer()
		if err != nil {
			return x, err
		}
		x = e.Reader.At(t.Elem(), p)
		t = x.Type.Strip()
	}
	if t.Kind != ctype.Struct && t.Kind != ctype.Union {
		return x, errorf("Attempt to extract a component of a value that is not a structure.")
	}
	v := x.Field(field)
	return v, v.Err()
}

func (e *Env) index(x, i ctype.Value) (ctype.Value, error) {
	k, err := i.Int()
	if err != nil {
		return i, err
	}
	switch t := x.Type.Strip(); t.Kind {
	case ctype.Array:
		// Past the end is what C allows and gdb shows, where it has an address.
		if x.Lval == ctype.InMemory {
			return e.Reader.At(t.Elem(), x.Addr+uint64(k*t.Elem().Size())), nil
		}
		v := x.Index(k)
		return v, v.Err()
	case ctype.Pointer:
		return e.indirect(x, t.Elem(), k)
	}
	return x, errorf("cannot subscript something of type `%s'", x.Type)
}

// indirect gives element k of what a pointer points to. Its type is known even
// where its place is not.
func (e *Env) indirect(x ctype.Value, elem *ctype.Type, k int64) (ctype.Value, error) {
	err := errGeneric
	if elem.Strip().Kind != ctype.Void {
		var p uint64
		if p, err = x.Pointer(); err == nil {
			return e.Reader.At(elem, p+uint64(k*elem.Size())), nil
		}
	}
	return e.Reader.FailType(elem, err), err
}

func (e *Env) unary(n unary) (ctype.Value, error) {
	x, err := e.eval(n.x)
	if err != nil {
		return x, err
	}
	t := x.Type.Strip()
	switch n.op {
	case "&":
		if n, ok := n.x.(name); ok && x.Lval != ctype.InMemory {
			return x, errorf("Can't take address of \"%s\" which isn't an lvalue.", n.name)
		}
		return e.addressOf(x)
	case "*":
		switch t.Kind {
		case ctype.Pointer:
			return e.indirect(x, t.Elem(), 0)
		case ctype.Array:
			v := x.Index(0)
			return v, v.Err()
		case ctype.Func:
			return x, nil
		case ctype.Int, ctype.Char, ctype.Bool, ctype.Enum:
			p, err := x.Uint()
			return e.Reader.At(longType, p), err
		}
		return x, errorf("Attempt to take contents of a non-pointer value.")
	case "!":
		b, err := truth(x)
		return e.boolean(!b), err
	}
	if t.Kind == ctype.Float {
		f, err := x.Float()
		switch n.op {
		case "-":
			f = -f
		case "~":
			return x, errorf("Argument to complement operation not an integer, boolean.")
		}
		return e.Reader.Make(x.Type, floatBytes(f, t.Size())), err
	}
	if !x.Type.IsInteger() {
		return x, errorf("Argument to arithmetic operation not a number or boolean.")
	}
	v, err := x.Uint()
	switch n.op {
	case "-":
		v = -v
	case "~":
		v = ^v
	}
	return e.Reader.MakeInt(promote(x.Type), v), err
}

func (e *Env) addressOf(x ctype.Value) (ctype.Value, error) {
	if err := hard(x.Err()); err != nil {
		return x, err
	}
	switch {
	case x.Err() != nil:
		return x, errorf("Attempt to take address of value not located in memory.")
	case x.BitSize != 0, x.Lval == ctype.NotLval, x.Lval == ctype.InPieces:
		return x, errorf("Attempt to take address of value not located in memory.")
	case x.Lval == ctype.InRegister:
		return x, errorf("Attempt to take address of value not located in memory (it is in register $%s).", e.regName(x.Reg))
	}
	return e.Reader.MakeInt(ctype.PointerTo(x.Type), x.Addr), nil
}

func (e *Env) regName(num int) string {
	if e.Arch != nil {
		for _, r := range e.Arch.Regs {
			if r.Num == num {
				return r.Name
			}
		}
	}
	return "dwarf" + strconv.Itoa(num)
}

// Print evaluates an expression, adds it to the history and returns its number
// and text. A void value is not added and has number 0.
func (e *Env) Print(src string, format byte) (number int, text string, err error) {
	v, err := e.Eval(src)
	if err != nil {
		return 0, "", err
	}
	if text, err = e.Format(v, format); err != nil {
		return 0, "", err
	}
	if v.Type.Strip().Kind == ctype.Void && v.Err() == nil {
		return 0, text, nil
	}
	e.History = append(e.History, v)
	return len(e.History), text, nil
}

// Ptype returns the definition of a type, or of the type an expression has.
func (e *Env) Ptype(src string) (string, error) {
	t, err := e.typeOf(src)
	if err != nil {
		return "", err
	}
	return t.Definition(), nil
}

// Whatis returns the name of an expression's type; of a typedef, what it stands
// for.
func (e *Env) Whatis(src string) (string, error) {
	n, typ, err := e.parse(src)
	if err != nil {
		return "", err
	}
	if typ != nil {
		if u := typ.Unqualified(); u.Kind == ctype.Typedef {
			typ = u.Elem()
		}
		return typ.String(), nil
	}
	v, err := e.evalType(n)
	if err != nil {
		return "", memoryError(err)
	}
	return v.Type.String(), nil
}

func (e *Env) typeOf(src string) (*ctype.Type, error) {
	n, typ, err := e.parse(src)
	if err != nil || typ != nil {
		return typ, err
	}
	v, err := e.evalType(n)
	if err != nil {
		return nil, memoryError(err)
	}
	return v.Type, nil
}
