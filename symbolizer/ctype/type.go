package ctype

// Kind is what a type is in C.
type Kind uint8

// The kinds of types.
const (
	Invalid Kind = iota // could not be read; Err says why
	Void
	Bool
	Char // one byte that prints as a character; Signed tells which
	Int  // Signed tells which
	Float
	Complex
	Pointer
	Array
	Struct
	Union
	Enum
	Func
	Typedef
	Const
	Volatile
	Restrict
	Atomic
	Reference // C++
	Unspecified
)

// maxDepth bounds how many typedefs, qualifiers and array dimensions are
// followed: only malformed debugging information has more.
const maxDepth = 64

// Type is a C type. It belongs to an image, except those made by PointerTo,
// ArrayOf and the constructors of basic types.
type Type struct {
	Kind Kind
	// Name is the name without struct, union or enum, "" for an anonymous
	// type, an array, a pointer or a function.
	Name string
	// Signed: an Int, Char or Enum that may be negative.
	Signed bool
	// Class: a C++ class rather than a struct.
	Class bool
	// Declaration: a struct, union or enum whose body is not in its unit.
	Declaration bool
	// Prototyped: a function declared with its parameters' types.
	Prototyped bool
	// Variadic: a function with ... at the end.
	Variadic bool
	// Vector: an array that is a SIMD vector.
	Vector bool

	ts     *Types
	off    uint64
	size   int64
	count  int64 // elements of an array, NoCount if not known
	elem   *Type // where elemOff is not used
	ref    uint64
	hasRef bool
	err    error

	body body
}

// NoCount is the Count of an array of unknown length.
const NoCount = -1

// Err tells why an Invalid type could not be read.
func (t *Type) Err() error { return t.err }

// Elem returns what a pointer, array, typedef, qualifier or function (its
// result) refers to; void where there is nothing.
func (t *Type) Elem() *Type {
	if t.elem != nil {
		return t.elem
	}
	if t.hasRef && t.ts != nil {
		return t.ts.at(t.ref)
	}
	if t.ts != nil {
		return t.ts.void
	}
	return voidType()
}

// Count returns the number of elements of an array or NoCount.
func (t *Type) Count() int64 { return t.count }

// Strip removes typedefs and qualifiers, and replaces a declaration by the
// definition some unit has.
func (t *Type) Strip() *Type {
	for range maxDepth {
		switch t.Kind {
		case Typedef, Const, Volatile, Restrict, Atomic:
			t = t.Elem()
		case Struct, Union, Enum:
			return t.complete()
		default:
			return t
		}
	}
	return &Type{Kind: Invalid, Name: t.Name, ts: t.ts, err: &NotFoundError{What: "type", Name: t.Name, Why: "its typedefs refer to each other"}}
}

// Unqualified removes qualifiers at the top, keeping typedefs.
func (t *Type) Unqualified() *Type {
	for range maxDepth {
		switch t.Kind {
		case Const, Volatile, Restrict, Atomic:
			t = t.Elem()
		default:
			return t
		}
	}
	return t
}

// complete finds the definition of a declared type by its name.
func (t *Type) complete() *Type {
	if !t.Declaration || t.Name == "" || t.ts == nil {
		return t
	}
	full, err := t.ts.Lookup(t.keyword() + " " + t.Name)
	if err != nil || full.Declaration {
		return t
	}
	return full
}

func (t *Type) keyword() string {
	switch t.Kind {
	case Struct:
		if t.Class {
			return "class"
		}
		return "struct"
	case Union:
		return "union"
	case Enum:
		return "enum"
	}
	return ""
}

// Size returns the size in bytes, as sizeof does; 0 for an array of unknown
// length and for a type that is only declared, 1 for void and functions.
func (t *Type) Size() int64 {
	n := int64(1)
	for range maxDepth {
		switch t.Kind {
		case Typedef, Const, Volatile, Restrict, Atomic:
			t = t.Elem()
			continue
		case Array:
			if t.size > 0 {
				return mul(n, t.size)
			}
			if t.count <= 0 {
				return 0
			}
			n = mul(n, t.count)
			t = t.Elem()
			continue
		case Struct, Union, Enum:
			return mul(n, t.complete().size)
		}
		return mul(n, t.size)
	}
	return 0
}

// maxSize bounds the size of any object: what is larger comes from malformed
// debugging information.
const maxSize = 1 << 40

func mul(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > maxSize/b {
		return maxSize
	}
	return a * b
}

// IsInteger reports whether values of the type are whole numbers (with
// characters, booleans and enums).
func (t *Type) IsInteger() bool {
	switch t.Strip().Kind {
	case Bool, Char, Int, Enum:
		return true
	}
	return false
}

// IsSigned reports whether the type, stripped, holds negative numbers.
func (t *Type) IsSigned() bool { return t.Strip().Signed }

func voidType() *Type { return &Type{Kind: Void, Name: "void", size: 1} }

// PointerTo returns the type of a pointer to t. Pointers are 8 bytes.
func PointerTo(t *Type) *Type {
	return &Type{Kind: Pointer, ts: t.ts, size: 8, elem: t}
}

// ArrayOf returns the type of an array of n elements of t.
func ArrayOf(t *Type, n int64) *Type {
	return &Type{Kind: Array, ts: t.ts, count: n, elem: t}
}

// Basic returns a type of the C language by its kind.
func Basic(kind Kind, name string, size int64, signed bool) *Type {
	return &Type{Kind: kind, Name: name, size: size, Signed: signed}
}

// Qualified returns t as const, volatile or both.
func Qualified(t *Type, konst, volatile bool) *Type {
	return qualify(t, quals{konst: konst, volatile: volatile})
}

// Named returns a type with a name of its own, as a typedef makes it.
func Named(name string, t *Type) *Type {
	return &Type{Kind: Typedef, Name: name, ts: t.ts, elem: t}
}

// FuncOf returns the type of a function.
func FuncOf(result *Type, params []*Type, variadic, prototyped bool) *Type {
	t := &Type{Kind: Func, ts: result.ts, size: 1, elem: result, Variadic: variadic, Prototyped: prototyped}
	for _, p := range params {
		t.body.params = append(t.body.params, Param{Type: p})
	}
	return t
}
