package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrMalformed says that bytes are no protobuf message.
var ErrMalformed = errors.New("not a protobuf message")

// Field is one field of a message.
type Field struct {
	Num  int32
	Type Type
	// Value is the number of a Varint, Fixed64 or Fixed32 field.
	Value uint64
	// Bytes is what a Bytes field holds, a part of the message given.
	Bytes []byte
}

// Fields calls visit for each field of the message, in its order. It ends with
// visit's error, or with ErrMalformed.
func Fields(message []byte, visit func(Field) error) error {
	for len(message) > 0 {
		f, n := next(message)
		if n == 0 {
			return ErrMalformed
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// next reads one field and returns how many bytes it takes, 0 for none.
func next(b []byte) (Field, int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > math.MaxInt32>>2 {
		return Field{}, 0
	}
	f := Field{Num: int32(tag >> 3), Type: Type(tag & 7)}
	rest := b[n:]
	switch f.Type {
	case Varint:
		v, m := binary.Uvarint(rest)
		if m <= 0 {
			return Field{}, 0
		}
		f.Value = v
		return f, n + m
	case Fixed64:
		if len(rest) < 8 {
			return Field{}, 0
		}
		f.Value = binary.LittleEndian.Uint64(rest)
		return f, n + 8
	case Fixed32:
		if len(rest) < 4 {
			return Field{}, 0
		}
		f.Value = uint64(binary.LittleEndian.Uint32(rest))
		return f, n + 4
	case Bytes:
		size, m := binary.Uvarint(rest)
		if m <= 0 || size > uint64(len(rest)-m) {
			return Field{}, 0
		}
		f.Bytes = rest[m : m+int(size)]
		return f, n + m + int(size)
	}
	return Field{}, 0
}
