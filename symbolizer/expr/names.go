package expr

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// isVariable reports whether an identifier names a variable here, which hides a
// typedef of the same name.
func (e *Env) isVariable(id string) bool {
	if s := e.currentScope(); s != nil {
		if _, ok := s.Local(id); ok {
			return true
		}
	}
	for _, r := range e.readers() {
		if _, err := r.Types().GlobalsNamed(id); err == nil {
			return true
		}
	}
	return false
}

// readers are those of all images, that of the selected frame first.
func (e *Env) readers() []*ctype.Reader {
	return append([]*ctype.Reader{e.Reader}, e.Others...)
}

// lookup finds what an identifier means.
func (e *Env) lookup(n name) (ctype.Value, error) {
	if n.file != "" {
		return e.lookupIn(n.file, n.name)
	}
	file := ""
	if s := e.currentScope(); s != nil {
		if l, ok := s.Local(n.name); ok {
			v := l.Value(e.Reader, e.Frame)
			return v, hard(v.Err())
		}
		file = s.File
	}
	for _, r := range e.readers() {
		if v, ok, err := e.declared(r, n.name, file); ok || err != nil {
			return v, err
		}
	}
	if e.Symbols != nil {
		if addr, code, ok := e.Symbols.SymbolByName(n.name); ok {
			if code {
				return e.Reader.At(ctype.Named(textNoDebug, ctype.FuncOf(intType, nil, false, false)), addr), nil
			}
			return e.Reader.At(ctype.Named(dataNoDebug, intType), addr), nil
		}
	}
	return ctype.Value{}, errorf("No symbol \"%s\" in current context.", n.name)
}

// declared finds what the debug information of an image declares by a name: of
// several variables, that of the file.
func (e *Env) declared(r *ctype.Reader, id, file string) (v ctype.Value, ok bool, err error) {
	ts := r.Types()
	if vars, err := ts.GlobalsNamed(id); err == nil {
		best := vars[0]
		for _, v := range vars {
			if file != "" && v.File == file {
				best = v
				break
			}
		}
		if best.Known() {
			v := r.Variable(best)
			return v, true, v.Err()
		}
		// Declared only: a symbol may tell its place.
		if e.Symbols != nil {
			if addr, _, ok := e.Symbols.SymbolByName(id); ok {
				return r.At(best.Type, addr), true, nil
			}
		}
		v := r.Variable(best)
		return v, true, hard(v.Err())
	}
	if f, err := ts.FunctionNamed(id); err == nil {
		if f.HasCode {
			return r.At(f.Type, f.Entry+r.Slide()), true, nil
		}
		if e.Symbols != nil {
			if addr, code, ok := e.Symbols.SymbolByName(id); ok && code {
				return r.At(f.Type, addr), true, nil
			}
		}
	}
	if t, n, ok := ts.EnumConstant(id); ok {
		return r.MakeInt(t, uint64(n)), true, nil
	}
	return v, false, nil
}

// hard drops the errors that are a way to have a value: optimized out and the
// like are printed as such.
func hard(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := gone(err); ok {
		return nil
	}
	return err
}

// lookupIn finds a name in a file ('file.c'::x) or a function (f::x).
func (e *Env) lookupIn(where, id string) (ctype.Value, error) {
	ts := e.Reader.Types()
	if v, err := ts.GlobalIn(where, id); err == nil {
		val := e.Reader.Variable(v)
		return val, hard(val.Err())
	}
	if f, err := ts.FunctionIn(where, id); err == nil && f.HasCode {
		return e.Reader.At(f.Type, f.Entry+e.Reader.Slide()), nil
	}
	if f, err := ts.FunctionNamed(where); err == nil && f.HasCode {
		if l, ok := ts.StaticIn(f, id); ok {
			v := l.Value(e.Reader, &ctype.Frame{PC: f.Entry, LookupPC: f.Entry})
			return v, hard(v.Err())
		}
		return ctype.Value{}, errorf("No symbol \"%s\" in function \"%s\".", id, where)
	}
	return ctype.Value{}, errorf("No symbol \"%s\" in specified context.", id)
}

// dollar finds $name: the history, a register or a convenience variable.
func (e *Env) dollar(id string) (ctype.Value, error) {
	if v, ok, err := e.history(id); ok || err != nil {
		return v, err
	}
	if v, ok := e.Vars[id]; ok {
		return v, nil
	}
	if v, ok, err := e.register(id); ok {
		return v, err
	}
	return e.Reader.Make(voidType, nil), nil
}

// history finds $ (the last value), $$ (the one before), $N and $$N.
func (e *Env) history(id string) (v ctype.Value, ok bool, err error) {
	back := 0
	n := len(e.History)
	switch {
	case id == "":
	case id == "$":
		back = 1
	case id[0] == '$':
		k, err := strconv.Atoi(id[1:])
		if err != nil {
			return v, false, nil
		}
		back = k
	case isDigit(id[0]):
		k, err := strconv.Atoi(id)
		if err != nil {
			return v, false, nil
		}
		if k == 0 {
			break
		}
		if k > n {
			return v, false, errorf("History has not yet reached $%d.", k)
		}
		return e.History[k-1], true, nil
	default:
		return v, false, nil
	}
	if back >= n {
		return e.Reader.Make(voidType, nil), true, nil
	}
	return e.History[n-1-back], true, nil
}

// regAliases are gdb's names that every architecture knows.
func (e *Env) regAlias(id string) (num int, ok bool) {
	switch id {
	case "pc":
		return e.Arch.PC, true
	case "sp":
		return e.Arch.SP, true
	case "fp":
		return e.Arch.FP, true
	case "ps":
		return e.Arch.Flags, true
	}
	if reg, ok := e.Arch.Reg(id); ok {
		return reg.Num, true
	}
	// The low halves: eax, w0.
	return 0, false
}

// register returns a register of the selected frame with gdb's type for it.
func (e *Env) register(id string) (v ctype.Value, ok bool, err error) {
	if e.Arch == nil {
		return v, false, nil
	}
	num, ok := e.regAlias(id)
	if !ok {
		return e.halfRegister(id)
	}
	if e.Frame == nil {
		return v, true, errorf("No registers.")
	}
	t := e.regType(num)
	x, known := e.Frame.Regs.Get(num)
	if !known {
		return e.Reader.FailType(t, &ctype.UnknownRegisterError{Num: num, Name: e.regName(num)}), true, nil
	}
	v = e.Reader.Make(t, binary.LittleEndian.AppendUint64(nil, x)[:t.Size()])
	v.Lval, v.Reg = ctype.InRegister, num
	return v, true, nil
}

// regType is the type gdb shows a register with: code and data pointers for pc
// and the stack, integers for the rest.
func (e *Env) regType(num int) *ctype.Type {
	switch {
	case num == e.Arch.PC:
		return ctype.PointerTo(ctype.FuncOf(voidType, nil, false, false))
	case num == e.Arch.SP, num == e.Arch.FP && e.Arch.Name == "x86_64":
		return ctype.PointerTo(voidType)
	}
	for _, r := range e.Arch.Regs {
		if r.Num == num && r.Bits == 32 {
			return intType
		}
	}
	return longType
}

// halfRegister returns the low 32 bits of a register under its own name: eax,
// r8d, w0.
func (e *Env) halfRegister(id string) (v ctype.Value, ok bool, err error) {
	full := ""
	switch {
	case e.Arch.Name == "arm64" && strings.HasPrefix(id, "w"):
		full = "x" + id[1:]
	case e.Arch.Name == "x86_64" && strings.HasPrefix(id, "e"):
		full = "r" + id[1:]
	case e.Arch.Name == "x86_64" && strings.HasSuffix(id, "d"):
		full = id[:len(id)-1]
	}
	reg, ok := e.Arch.Reg(full)
	if !ok || reg.Bits != 64 {
		return v, false, nil
	}
	if e.Frame == nil {
		return v, true, errorf("No registers.")
	}
	x, known := e.Frame.Regs.Get(reg.Num)
	if !known {
		return e.Reader.FailType(intType, &ctype.UnknownRegisterError{Num: reg.Num, Name: reg.Name}), true, nil
	}
	return e.Reader.MakeInt(intType, x), true, nil
}
