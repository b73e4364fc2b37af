package otlp

import (
	"math"
	"strconv"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// Field numbers of KeyValue and AnyValue in opentelemetry/proto/common/v1/common.proto.
const (
	keyValueKey   = 1
	keyValueValue = 2
	anyString     = 1
	anyBool       = 2
	anyInt        = 3
)

// appendAttrs appends attributes as KeyValue fields called num.
func appendAttrs(b []byte, num int32, attrs []exporters.Attr) []byte {
	for i := range attrs {
		a := &attrs[i]
		switch a.Kind {
		case exporters.KindString:
			b = appendString(b, num, a.Key, a.Str)
		case exporters.KindInt:
			b = appendInt(b, num, a.Key, int64(a.Num))
		case exporters.KindBool:
			b = appendNumber(b, num, a.Key, anyBool, a.Num&1)
		case exporters.KindUint:
			// OTLP integers are signed; a value beyond them goes as text
			// rather than as a wrong number.
			if a.Num <= math.MaxInt64 {
				b = appendInt(b, num, a.Key, int64(a.Num))
			} else {
				b = appendString(b, num, a.Key, strconv.FormatUint(a.Num, 10))
			}
		case exporters.KindPointer:
			var text [18]byte
			b = appendText(b, num, a.Key, strconv.AppendUint(append(text[:0], "0x"...), a.Num, 16))
		}
	}
	return b
}

func appendInt(b []byte, num int32, key string, v int64) []byte {
	return appendNumber(b, num, key, anyInt, uint64(v))
}

// appendNumber appends an attribute whose value is the varint field kind of an
// AnyValue.
func appendNumber(b []byte, num int32, key string, kind int32, v uint64) []byte {
	key = valid(key)
	value := 1 + uvarintLen(v)
	b = wire.AppendLength(b, num, 1+uvarintLen(uint64(len(key)))+len(key)+2+value)
	b = wire.AppendLength(b, keyValueKey, len(key))
	b = append(b, key...)
	b = wire.AppendLength(b, keyValueValue, value)
	return wire.AppendVarint(b, kind, v)
}

func appendString(b []byte, num int32, key, v string) []byte {
	return appendText(b, num, key, valid(v))
}

// appendText appends an attribute whose value is text in UTF-8.
func appendText[T string | []byte](b []byte, num int32, key string, v T) []byte {
	key = valid(key)
	value := 1 + uvarintLen(uint64(len(v))) + len(v)
	b = wire.AppendLength(b, num, 1+uvarintLen(uint64(len(key)))+len(key)+1+uvarintLen(uint64(value))+value)
	b = wire.AppendLength(b, keyValueKey, len(key))
	b = append(b, key...)
	b = wire.AppendLength(b, keyValueValue, value)
	b = wire.AppendLength(b, anyString, len(v))
	return append(b, v...)
}

// uvarintLen is how many bytes a varint takes.
func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
