package expr

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// assign changes a convenience variable, memory or a register and returns the
// new value.
func (e *Env) assign(n assign) (ctype.Value, error) {
	y, err := e.eval(n.y)
	if err != nil {
		return y, err
	}
	if d, ok := n.x.(dollar); ok && !e.isRegister(d.name) {
		return e.assignVar(d, n.op, y)
	}
	x, err := e.eval(n.x)
	if err != nil {
		return x, err
	}
	if n.op != "" {
		if y, err = e.binary(n.op, x, y); err != nil {
			return y, err
		}
	}
	if err := y.Err(); err != nil {
		return y, err
	}
	if x.Type.Strip() != y.Type.Strip() {
		if y, err = e.cast(y, x.Type); err != nil {
			return y, err
		}
	}
	data, err := y.Bytes()
	if err != nil {
		return y, err
	}
	switch x.Lval {
	case ctype.InMemory:
		return e.store(x, y, data)
	case ctype.InRegister:
		return e.storeRegister(x, data)
	}
	return x, errorf("Left operand of assignment is not an lvalue.")
}

func (e *Env) isRegister(id string) bool {
	if e.Arch == nil {
		return false
	}
	_, ok := e.regAlias(id)
	return ok
}

func (e *Env) assignVar(d dollar, op string, y ctype.Value) (ctype.Value, error) {
	if d.name == "" || isDigit(d.name[0]) || d.name[0] == '$' {
		return y, errorf("Left operand of assignment is not a modifiable lvalue.")
	}
	if op != "" {
		x, err := e.dollar(d.name)
		if err != nil {
			return x, err
		}
		if y, err = e.binary(op, x, y); err != nil {
			return y, err
		}
	}
	// Read it now: the variable keeps the value of this moment.
	if _, err := y.Bytes(); err != nil {
		return y, err
	}
	if e.Vars == nil {
		e.Vars = make(map[string]ctype.Value)
	}
	e.Vars[d.name] = y
	return y, nil
}

func (e *Env) store(x, y ctype.Value, data []byte) (ctype.Value, error) {
	if e.Memory == nil {
		return x, errorf("This target's memory cannot be changed.")
	}
	if x.BitSize != 0 {
		old, err := x.Bytes()
		if err != nil {
			return x, err
		}
		data = insertBits(old, x.BitOffset, x.BitSize, ctype.Extract(data, 0, 0, false))
	}
	if err := e.Memory.WriteMemory(e.Reader.Context(), data, x.Addr); err != nil {
		return x, err
	}
	if x.BitSize != 0 {
		v, err := y.Uint()
		t := x.Type.Strip()
		b := binary.LittleEndian.AppendUint64(nil, v)
		return e.Reader.MakeInt(x.Type, ctype.Extract(b, 0, x.BitSize, t.Signed)), err
	}
	// A new value, so that nothing read before the change is shown.
	return e.Reader.At(x.Type, x.Addr), nil
}

// insertBits returns old with size bits at off replaced.
func insertBits(old []byte, off, size int64, v uint64) []byte {
	out := append([]byte(nil), old...)
	for i := range size {
		at := off + i
		if at/8 >= int64(len(out)) {
			break
		}
		out[at/8] = out[at/8]&^(1<<(at%8)) | byte(v>>i&1)<<(at%8)
	}
	return out
}

func (e *Env) storeRegister(x ctype.Value, data []byte) (ctype.Value, error) {
	if e.Registers == nil || e.Frame == nil {
		return x, errorf("The registers of this frame cannot be changed.")
	}
	old, _ := e.Frame.Regs.Get(x.Reg)
	word := binary.LittleEndian.AppendUint64(nil, old)
	if x.BitSize != 0 {
		word = insertBits(word, x.BitOffset, x.BitSize, ctype.Extract(data, 0, 0, false))
	} else {
		copy(word, data)
	}
	v := binary.LittleEndian.Uint64(word)
	if err := e.Registers.WriteRegister(x.Reg, v); err != nil {
		return x, err
	}
	e.Frame.Regs.Set(x.Reg, v)
	n := e.Reader.Make(x.Type, word[:min(len(word), len(data))])
	n.Lval, n.Reg = ctype.InRegister, x.Reg
	return n, nil
}
