package expr

import (
	"math"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// promote is C's integer promotion, with gdb's names for the types.
func promote(t *ctype.Type) *ctype.Type {
	s := t.Strip()
	switch {
	case s.Size() < 4:
		return intType
	case s.Size() == 4:
		if s.Signed {
			return intType
		}
		return uintType
	case s.Signed:
		return longType
	}
	return ulongType
}

// common is the type two integers are computed in.
func common(x, y *ctype.Type) *ctype.Type {
	a, b := promote(x), promote(y)
	switch {
	case a.Size() > b.Size():
		return a
	case b.Size() > a.Size():
		return b
	case !a.Signed:
		return a
	}
	return b
}

// decay turns an array or a function into the pointer it stands for.
func (e *Env) decay(v ctype.Value) (ctype.Value, error) {
	if err := v.Err(); err != nil {
		return v, err
	}
	t := v.Type.Strip()
	switch t.Kind {
	case ctype.Array:
		if v.Lval != ctype.InMemory {
			return v, errorf("Attempt to take address of value not located in memory.")
		}
		return e.Reader.MakeInt(ctype.PointerTo(t.Elem()), v.Addr), nil
	case ctype.Func:
		return e.Reader.MakeInt(ctype.PointerTo(v.Type), v.Addr), nil
	}
	if v.Type.Name == dataNoDebug {
		name := e.symbolic(v.Addr)
		return v, errorf("'%s' has unknown type; cast it to its declared type", name)
	}
	return v, nil
}

func (e *Env) binary(op string, x, y ctype.Value) (ctype.Value, error) {
	if op == "@" {
		return e.slice(x, y)
	}
	x, err := e.decay(x)
	if err != nil {
		return x, err
	}
	if y, err = e.decay(y); err != nil {
		return y, err
	}
	xt, yt := x.Type.Strip(), y.Type.Strip()
	xp, yp := xt.Kind == ctype.Pointer, yt.Kind == ctype.Pointer
	switch {
	case xp || yp:
		return e.pointerOp(op, x, y, xt, yt)
	case xt.Kind == ctype.Float || yt.Kind == ctype.Float:
		return e.floatOp(op, x, y)
	case !x.Type.IsInteger() || !y.Type.IsInteger():
		if isComparison(op) {
			return x, errorf("Argument to comparison operation not integer, boolean, pointer or floating-point.")
		}
		return x, errorf("Argument to arithmetic operation not a number or boolean.")
	case xt.Size() > 8 || yt.Size() > 8:
		return x, errorf("Arithmetic on integers of more than 64 bits is not supported.")
	}
	a, err := x.Uint()
	if err != nil {
		return x, err
	}
	b, err := y.Uint()
	if err != nil {
		return y, err
	}
	t := common(x.Type, y.Type)
	if op == "<<" || op == ">>" {
		t = promote(x.Type)
	}
	return e.integerOp(op, t, cut(a, t), cut(b, t))
}

// cut brings a number to the width and sign of a type.
func cut(x uint64, t *ctype.Type) uint64 {
	if t.Size() == 8 {
		return x
	}
	if t.Signed {
		return uint64(int64(int32(x)))
	}
	return uint64(uint32(x))
}

func isComparison(op string) bool {
	switch op {
	case "==", "!=", "<", ">", "<=", ">=":
		return true
	}
	return false
}

// ordered decides a comparison from the sign of x-y.
func ordered(op string, sign int) bool {
	switch op {
	case "==":
		return sign == 0
	case "!=":
		return sign != 0
	case "<":
		return sign < 0
	case ">":
		return sign > 0
	case "<=":
		return sign <= 0
	}
	return sign >= 0
}

func compare(a, b uint64, signed bool) int {
	less := a < b
	if signed {
		less = int64(a) < int64(b)
	}
	switch {
	case a == b:
		return 0
	case less:
		return -1
	}
	return 1
}

func (e *Env) integerOp(op string, t *ctype.Type, a, b uint64) (ctype.Value, error) {
	if isComparison(op) {
		return e.boolean(ordered(op, compare(a, b, t.Signed))), nil
	}
	var r uint64
	switch op {
	case "+":
		r = a + b
	case "-":
		r = a - b
	case "*":
		r = a * b
	case "/", "%":
		if b == 0 {
			return ctype.Value{}, errorf("Division by zero")
		}
		switch {
		case t.Signed && int64(b) == -1:
			// The least number divided by -1 would overflow.
			if r = -a; op == "%" {
				r = 0
			}
		case t.Signed && op == "/":
			r = uint64(int64(a) / int64(b))
		case t.Signed:
			r = uint64(int64(a) % int64(b))
		case op == "/":
			r = a / b
		default:
			r = a % b
		}
	case "&":
		r = a & b
	case "|":
		r = a | b
	case "^":
		r = a ^ b
	case "<<":
		r = a << b
	case ">>":
		if t.Signed {
			r = uint64(int64(a) >> b)
		} else {
			r = a >> b
		}
	}
	return e.Reader.MakeInt(t, cut(r, t)), nil
}

func (e *Env) floatOp(op string, x, y ctype.Value) (ctype.Value, error) {
	a, err := e.toFloat(x)
	if err != nil {
		return x, err
	}
	b, err := e.toFloat(y)
	if err != nil {
		return y, err
	}
	if isComparison(op) {
		sign := 1
		switch {
		case a < b:
			sign = -1
		case a == b:
			sign = 0
		case math.IsNaN(a) || math.IsNaN(b):
			return e.boolean(op == "!="), nil
		}
		return e.boolean(ordered(op, sign)), nil
	}
	var r float64
	switch op {
	case "+":
		r = a + b
	case "-":
		r = a - b
	case "*":
		r = a * b
	case "/":
		r = a / b
	default:
		return x, errorf("Integer-only operation %s on a floating-point number.", op)
	}
	// In C float and float give float; gdb computes so too.
	if xs, ys := x.Type.Strip(), y.Type.Strip(); size4(xs) && size4(ys) {
		return e.Reader.Make(floatType, floatBytes(r, 4)), nil
	}
	return e.Reader.Make(doubleType, floatBytes(r, 8)), nil
}

func size4(t *ctype.Type) bool { return t.Kind != ctype.Float || t.Size() == 4 }

func (e *Env) toFloat(v ctype.Value) (float64, error) {
	t := v.Type.Strip()
	if t.Kind == ctype.Float {
		return v.Float()
	}
	x, err := v.Uint()
	if t.Signed {
		return float64(int64(x)), err
	}
	return float64(x), err
}

func (e *Env) pointerOp(op string, x, y ctype.Value, xt, yt *ctype.Type) (ctype.Value, error) {
	a, err := x.Uint()
	if err != nil {
		return x, err
	}
	b, err := y.Uint()
	if err != nil {
		return y, err
	}
	xp, yp := xt.Kind == ctype.Pointer, yt.Kind == ctype.Pointer
	step := func(t *ctype.Type) uint64 { return uint64(max(t.Elem().Size(), 1)) }
	switch {
	case isComparison(op):
		return e.boolean(ordered(op, compare(a, b, false))), nil
	case op == "+" && xp && !yp:
		return e.Reader.MakeInt(x.Type, a+b*step(xt)), nil
	case op == "+" && yp && !xp:
		return e.Reader.MakeInt(y.Type, b+a*step(yt)), nil
	case op == "-" && xp && !yp:
		return e.Reader.MakeInt(x.Type, a-b*step(xt)), nil
	case op == "-" && xp && yp:
		if step(xt) != step(yt) {
			return x, errorf("First argument of `-' is a pointer and second argument is neither\nan integer nor a pointer of the same type.")
		}
		return e.Reader.MakeInt(longType, uint64(int64(a-b)/int64(step(xt)))), nil
	}
	return e.integerOp(op, ulongType, a, b)
}

// maxSlice bounds the elements of x@n.
const maxSlice = 1 << 24

// slice is x@n: n objects in a row, the first of which is x.
func (e *Env) slice(x, n ctype.Value) (ctype.Value, error) {
	k, err := n.Int()
	if err != nil {
		return n, err
	}
	switch {
	case k <= 0:
		return x, errorf("Invalid number %d of repetitions.", k)
	case k > maxSlice:
		return x, errorf("%d repetitions are more than the %d that are shown.", k, maxSlice)
	case x.Err() != nil:
		return x, x.Err()
	case x.Lval != ctype.InMemory || x.BitSize != 0:
		return x, errorf("Only values in memory can be extended with '@'.")
	}
	return e.Reader.At(ctype.ArrayOf(x.Type, k), x.Addr), nil
}

// cast converts a value to a type as C does.
func (e *Env) cast(v ctype.Value, t *ctype.Type) (ctype.Value, error) {
	if v.Type.Name == dataNoDebug {
		return e.Reader.At(t, v.Addr), nil
	}
	to := t.Strip()
	from := v.Type.Strip()
	switch to.Kind {
	case ctype.Void:
		return e.Reader.Make(t, nil), nil
	case ctype.Struct, ctype.Union:
		if from == to || from.Kind == to.Kind && from.Name == to.Name {
			return v, nil
		}
		return v, errorf("Invalid cast.")
	case ctype.Array:
		if v.Lval == ctype.InMemory && from.Kind == ctype.Array {
			return e.Reader.At(t, v.Addr), nil
		}
		return v, errorf("Invalid cast.")
	case ctype.Func:
		if from.Kind == ctype.Func {
			return e.Reader.At(t, v.Addr), nil
		}
		return v, errorf("Invalid cast.")
	}
	v, err := e.decay(v)
	if err != nil {
		return v, err
	}
	if from = v.Type.Strip(); from.Kind == ctype.Struct || from.Kind == ctype.Union || from.Kind == ctype.Void {
		return v, errorf("Invalid cast.")
	}
	if to.Kind == ctype.Float {
		f, err := e.toFloat(v)
		if to.Size() > 8 {
			return v, errorf("Conversion to %s is not supported.", t)
		}
		return e.Reader.Make(t, floatBytes(f, to.Size())), err
	}
	if from.Kind == ctype.Float {
		f, err := v.Float()
		return e.Reader.MakeInt(t, uint64(int64(f))), err
	}
	x, err := v.Uint()
	if to.Kind == ctype.Bool && x != 0 {
		x = 1
	}
	return e.Reader.MakeInt(t, x), err
}
