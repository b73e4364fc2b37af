package tracebuf

import "encoding/binary"

// Value is one argument of a record.
type Value struct {
	// Num is an integer as it is stored, zero-extended; 0 for a string.
	Num uint64
	// Str is a string's bytes, which alias the scanned data; nil for an integer.
	Str []byte
}

// fewArgs is how many arguments a tracepoint has at most without costing an
// allocation: UK_TRACEPOINT takes 7.
const fewArgs = 8

// Values appends every argument in order. It allocates nothing where dst has
// room. A record that is not good has none.
func (r *Record) Values(dst []Value) []Value {
	if r.Def == nil {
		return dst
	}
	b := r.Args
	for _, a := range r.Def.Args {
		if a.Type == ArgString {
			if len(b) == 0 || int(b[0]) >= len(b) {
				return append(dst, Value{Str: []byte{}})
			}
			n := 1 + int(b[0])
			dst = append(dst, Value{Str: b[1:n:n]})
			b = b[n:]
			continue
		}
		var v uint64
		switch {
		case len(b) < int(a.Size):
			return dst
		case a.Size == 8:
			v = binary.LittleEndian.Uint64(b)
		case a.Size == 4:
			v = uint64(binary.LittleEndian.Uint32(b))
		case a.Size == 2:
			v = uint64(binary.LittleEndian.Uint16(b))
		default:
			v = uint64(b[0])
		}
		dst = append(dst, Value{Num: v})
		b = b[a.Size:]
	}
	return dst
}

// signExtend reads a stored integer of size bytes as a signed one.
func signExtend(v uint64, size uint8) int64 {
	shift := 64 - 8*uint(size&15)
	return int64(v<<shift) >> shift
}
