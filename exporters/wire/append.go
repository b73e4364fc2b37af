package wire

import (
	"encoding/binary"
	"strings"
)

// Type is a field's wire type.
type Type uint8

// The wire types there are. Groups (3 and 4) are history and not read.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Bytes   Type = 2
	Fixed32 Type = 5
)

// AppendTag appends the head of a field.
func AppendTag(b []byte, num int32, typ Type) []byte {
	return binary.AppendUvarint(b, uint64(num)<<3|uint64(typ))
}

// AppendVarint appends a uint64, uint32, bool or enum field. For an int64 or
// int32 field v is the number's two's complement.
func AppendVarint(b []byte, num int32, v uint64) []byte {
	return binary.AppendUvarint(AppendTag(b, num, Varint), v)
}

// AppendFixed64 appends a fixed64 or sfixed64 field.
func AppendFixed64(b []byte, num int32, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(AppendTag(b, num, Fixed64), v)
}

// AppendBytes appends a bytes field or an encoded message.
func AppendBytes(b []byte, num int32, v []byte) []byte {
	return append(AppendLength(b, num, len(v)), v...)
}

// AppendLength appends what comes before the n bytes of a bytes field.
func AppendLength(b []byte, num int32, n int) []byte {
	return binary.AppendUvarint(AppendTag(b, num, Bytes), uint64(n))
}

// AppendString appends a string field. What is no UTF-8 is replaced: guest bytes
// may be anything, protobuf strings may not.
func AppendString(b []byte, num int32, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(AppendLength(b, num, len(s)), s...)
}

// AppendPacked appends a packed repeated field of varints.
func AppendPacked(b []byte, num int32, vs []uint64) []byte {
	n := 0
	for _, v := range vs {
		n += size(v)
	}
	b = AppendLength(b, num, n)
	for _, v := range vs {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// size is how many bytes a varint takes.
func size(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
