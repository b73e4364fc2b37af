package exporters

// Kind is the type of an attribute's value.
type Kind uint8

// The kinds of values.
const (
	KindString Kind = iota
	KindInt
	KindUint
	KindBool
	KindPointer
)

// Attr is a named value of a span or event. Make one with String, Int, Uint,
// Bool or Pointer.
type Attr struct {
	Key  string
	Kind Kind
	// Str is the value of a KindString.
	Str string
	// Num is the value of the other kinds; a KindInt is its two's complement,
	// a KindBool 0 or 1.
	Num uint64
}

// String returns a text attribute. Bytes that are no UTF-8 are replaced when
// written, since every form demands UTF-8.
func String(key, v string) Attr { return Attr{Key: key, Kind: KindString, Str: v} }

// Int returns a signed integer attribute.
func Int(key string, v int64) Attr { return Attr{Key: key, Kind: KindInt, Num: uint64(v)} }

// Uint returns an unsigned integer attribute.
func Uint(key string, v uint64) Attr { return Attr{Key: key, Kind: KindUint, Num: v} }

// Pointer returns a guest address, shown in hexadecimal.
func Pointer(key string, v uint64) Attr { return Attr{Key: key, Kind: KindPointer, Num: v} }

// Bool returns a truth value.
func Bool(key string, v bool) Attr {
	a := Attr{Key: key, Kind: KindBool}
	if v {
		a.Num = 1
	}
	return a
}
