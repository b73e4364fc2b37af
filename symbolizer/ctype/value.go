package ctype

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// ErrOptimizedOut says that the compiler left no place for a variable.
var ErrOptimizedOut = errors.New("<optimized out>")

// Lval tells where a value lives.
type Lval uint8

const (
	// NotLval: computed; it cannot be assigned to.
	NotLval Lval = iota
	// InMemory: at Addr.
	InMemory
	// InRegister: in the register with DWARF number Reg.
	InRegister
	// InPieces: spread over registers and memory.
	InPieces
)

// Value is a typed object of the guest. The zero value is not usable.
type Value struct {
	Type *Type
	// Addr is the run-time address, with Lval InMemory.
	Addr uint64
	Lval Lval
	// Reg is the DWARF number of the register, with Lval InRegister.
	Reg int
	// BitOffset (from the lowest bit at Addr) and BitSize are set for a
	// bit-field.
	BitOffset, BitSize int64

	r   *Reader
	blk *block
	off int64 // of the value within its block
	err error
}

// Err returns the error the value carries.
func (v Value) Err() error { return v.err }

// Reader returns the reader the value came from.
func (v Value) Reader() *Reader { return v.r }

// FieldError says that a type has no such member.
type FieldError struct {
	Type string
	Name string
	Have []string
}

func (e *FieldError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("%s has no field %s (it has no fields)", e.Type, e.Name)
	}
	have := e.Have
	more := ""
	if len(have) > 40 {
		have, more = have[:40], ", …"
	}
	return fmt.Sprintf("%s has no field %s (fields: %s%s)", e.Type, e.Name, strings.Join(have, ", "), more)
}

// ReadError says that an object could not be read.
type ReadError struct {
	Type string
	Addr uint64
	Err  error
}

func (e *ReadError) Error() string { return fmt.Sprintf("%s at %#x: %v", e.Type, e.Addr, e.Err) }

// Unwrap returns the error of the memory.
func (e *ReadError) Unwrap() error { return e.Err }

// TypeError says that an operation does not suit a type.
type TypeError struct{ Type, Op string }

func (e *TypeError) Error() string { return fmt.Sprintf("%s: %s", e.Type, e.Op) }

func (v Value) fail(err error) Value {
	v.err = err
	return v
}

func (v Value) wrong(format string, args ...any) Value {
	return v.fail(&TypeError{Type: v.Type.String(), Op: fmt.Sprintf(format, args...)})
}

// Field returns a member, or a member of a member: "ctx.ip". Members of
// anonymous structs and unions count as the struct's own. A pointer on the way is
// followed only by Deref.
func (v Value) Field(path string) Value {
	for path != "" && v.err == nil {
		name, rest, _ := strings.Cut(path, ".")
		t := v.Type.Strip()
		if t.Kind != Struct && t.Kind != Union {
			return v.wrong("no struct or union, so it has no field %s", name)
		}
		f, ok := t.Field(name)
		if !ok {
			if t.Declaration {
				return v.wrong("only declared in this image, so its fields are not known")
			}
			return v.fail(&FieldError{Type: t.String(), Name: name, Have: t.FieldNames()})
		}
		v = v.Member(f)
		path = rest
	}
	return v
}

// Member returns the member f of a struct or union.
func (v Value) Member(f Field) Value {
	if v.err != nil {
		return v
	}
	v.Type = f.Type
	v.off += f.Offset
	v.Addr += uint64(f.Offset)
	v.BitOffset, v.BitSize = 0, 0
	if f.BitSize != 0 {
		v.BitOffset, v.BitSize = f.BitOffset-8*f.Offset, f.BitSize
	}
	return v
}

// Bytes returns the object's bytes, little-endian. They must not be changed. Of
// a bit-field they are the bytes it lies in.
func (v Value) Bytes() ([]byte, error) {
	if v.err != nil {
		return nil, v.err
	}
	n := v.Type.Size()
	if v.BitSize != 0 {
		n = (v.BitOffset + v.BitSize + 7) / 8
	}
	if v.blk == nil {
		return nil, errors.New("a value without storage")
	}
	p, err := v.r.bytes(v.blk, v.off, n)
	if err != nil && v.Lval == InMemory && !errors.Is(err, target.ErrLost) {
		err = &ReadError{Type: v.Type.String(), Addr: v.Addr, Err: err}
	}
	return p, err
}

// bits returns the value of an integer, pointer, enum, bool or bit-field,
// extended to 64 bits by the type's sign.
func (v Value) bits() (uint64, error) {
	t := v.Type.Strip()
	if v.err != nil {
		return 0, v.err
	}
	switch t.Kind {
	case Bool, Char, Int, Enum, Pointer, Reference:
	case Array, Func:
		if v.Lval == InMemory {
			return v.Addr, nil
		}
		fallthrough
	default:
		return 0, &TypeError{Type: v.Type.String(), Op: "no integer or pointer"}
	}
	p, err := v.Bytes()
	if err != nil {
		return 0, err
	}
	return Extract(p, v.BitOffset, v.BitSize, t.Signed), nil
}

// Extract takes size bits (all of p where size is 0, at most 64) from bit off of
// little-endian bytes and extends them to 64 bits.
func Extract(p []byte, off, size int64, signed bool) uint64 {
	if size == 0 {
		size = 8 * int64(min(len(p), 8))
	}
	size = min(size, 64)
	var x uint64
	for i := int64(0); i < size; {
		at := off + i
		if at/8 >= int64(len(p)) {
			break
		}
		// Up to the end of this byte.
		n := min(8-at%8, size-i)
		b := uint64(p[at/8]>>(at%8)) & (1<<n - 1)
		x |= b << i
		i += n
	}
	if signed && size > 0 && size < 64 && x&(1<<(size-1)) != 0 {
		x |= ^uint64(0) << size
	}
	return x
}

// Uint returns the value of an integer, enum, bool, pointer or bit-field. A
// negative one is returned in two's complement of 64 bits. Arrays and functions
// give their address.
func (v Value) Uint() (uint64, error) { return v.bits() }

// Int returns the value as Uint does, as a signed number.
func (v Value) Int() (int64, error) {
	x, err := v.bits()
	return int64(x), err
}

// Bool reports whether the value is not zero.
func (v Value) Bool() (bool, error) {
	x, err := v.bits()
	return x != 0, err
}

// Float returns the value of a floating-point object of 4, 8 or (x87, in 10 or
// 16 bytes; IEEE quad on arm64) rounded to float64.
func (v Value) Float() (float64, error) {
	p, err := v.Bytes()
	if err != nil {
		return 0, err
	}
	if v.Type.Strip().Kind != Float {
		return 0, &TypeError{Type: v.Type.String(), Op: "no floating-point number"}
	}
	switch len(p) {
	case 4:
		return float64(math.Float32frombits(uint32(Extract(p, 0, 32, false)))), nil
	case 8:
		return math.Float64frombits(Extract(p, 0, 64, false)), nil
	}
	return 0, &TypeError{Type: v.Type.String(), Op: fmt.Sprintf("floating-point numbers of %d bytes are not read as float64", len(p))}
}

// Deref follows a pointer. A null pointer gives a value with an error.
func (v Value) Deref() Value {
	p, err := v.Pointer()
	if err != nil {
		return v.fail(err)
	}
	if p == 0 {
		return v.wrong("a null pointer cannot be followed")
	}
	return v.r.At(v.Type.Strip().Elem(), p)
}

// Pointer returns the address a pointer holds.
func (v Value) Pointer() (uint64, error) {
	if v.err != nil {
		return 0, v.err
	}
	if k := v.Type.Strip().Kind; k != Pointer && k != Reference {
		return 0, &TypeError{Type: v.Type.String(), Op: "no pointer"}
	}
	return v.bits()
}

// Index returns element i of an array, or of the array a pointer points to. An
// index outside a declared array is an error; a flexible array has no end.
func (v Value) Index(i int64) Value {
	if v.err != nil {
		return v
	}
	t := v.Type.Strip()
	switch t.Kind {
	case Array:
		if n := t.Count(); n >= 0 && (i < 0 || i >= n) && n != 0 {
			return v.wrong("index %d is outside of it", i)
		}
		size := t.Elem().Size()
		v.Type = t.Elem()
		v.off += i * size
		v.Addr += uint64(i * size)
		return v
	case Pointer:
		p, err := v.Pointer()
		if err != nil {
			return v.fail(err)
		}
		return v.r.At(t.Elem(), p+uint64(i*t.Elem().Size()))
	}
	return v.wrong("no array or pointer, so it has no element %d", i)
}

// Cast returns the same object or number as type t.
func (v Value) Cast(t *Type) Value {
	if v.err != nil {
		return v
	}
	if v.Lval == InMemory && v.BitSize == 0 {
		w := v.r.At(t, v.Addr)
		if v.blk != nil && v.off+t.Size() <= v.blk.size {
			w.blk, w.off = v.blk, v.off
		}
		return w
	}
	v.Type = t
	return v
}

// CString returns the string a char pointer points to, or that an array of char
// holds, without its NUL. At most limit bytes are read; a longer string is cut
// there.
func (v Value) CString(limit int) (string, error) {
	if v.err != nil {
		return "", v.err
	}
	t := v.Type.Strip()
	switch t.Kind {
	case Array:
		n := t.Count()
		if n < 0 || n > int64(limit) {
			n = int64(limit)
		}
		w := v
		w.Type = ArrayOf(t.Elem(), n)
		p, err := w.Bytes()
		if err != nil {
			return "", err
		}
		s, _, _ := strings.Cut(string(p), "\x00")
		return s, nil
	case Pointer:
		addr, err := v.Pointer()
		if err != nil {
			return "", err
		}
		if addr == 0 {
			return "", &TypeError{Type: v.Type.String(), Op: "a null pointer is no string"}
		}
		s, _, err := target.ReadCString(v.r.ctx, v.r.mem, addr, limit)
		if err != nil {
			return string(s), &ReadError{Type: "string", Addr: addr, Err: err}
		}
		return string(s), nil
	}
	return "", &TypeError{Type: v.Type.String(), Op: "no string"}
}
