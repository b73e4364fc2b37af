// Package dwbuf reads the primitive encodings of DWARF (version 5, sections
// 7.2.2, 7.4 and 7.6) from untrusted bytes, little-endian unless told otherwise.
//
// A Reader fails once and stays failed: reads past the end give zeros and set
// Failed, so a decoder may read a whole record and check once. It never panics
// and never allocates.
package dwbuf

import "encoding/binary"

// Reader is a position in bytes. The zero Reader is at the end of nothing.
type Reader struct {
	data []byte
	off  int
	bad  bool
	big  bool // numbers are big-endian
}

// New reads data from offset off. An offset outside data gives a failed Reader.
func New(data []byte, off uint64) Reader {
	if off > uint64(len(data)) {
		return Reader{bad: true}
	}
	return Reader{data: data, off: int(off)}
}

// NewOrder is New for numbers that are big-endian if bigEndian is set.
func NewOrder(data []byte, off uint64, bigEndian bool) Reader {
	r := New(data, off)
	r.big = bigEndian
	return r
}

// Failed reports whether a read went past the end or a number did not fit.
func (r *Reader) Failed() bool { return r.bad }

// Fail makes r failed.
func (r *Reader) Fail() { r.bad = true; r.off = len(r.data) }

// Offset is the position from the start of the data given to New.
func (r *Reader) Offset() uint64 { return uint64(r.off) }

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.data) - r.off }

// Limit cuts the data after n more bytes; fewer left is a failure.
func (r *Reader) Limit(n uint64) {
	if n > uint64(r.Len()) {
		r.Fail()
		return
	}
	r.data = r.data[:r.off+int(n)]
}

// Seek moves to offset off of the data.
func (r *Reader) Seek(off uint64) {
	if off > uint64(len(r.data)) {
		r.Fail()
		return
	}
	r.off = int(off)
}

// Skip moves n bytes on.
func (r *Reader) Skip(n uint64) {
	if n > uint64(r.Len()) {
		r.Fail()
		return
	}
	r.off += int(n)
}

// Bytes returns the next n bytes, not copied, or nil.
func (r *Reader) Bytes(n uint64) []byte {
	if n > uint64(r.Len()) {
		r.Fail()
		return nil
	}
	b := r.data[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b
}

// U8 reads one byte.
func (r *Reader) U8() uint8 {
	if r.off >= len(r.data) {
		r.bad = true
		return 0
	}
	v := r.data[r.off]
	r.off++
	return v
}

// U16 reads two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Bytes(2); b != nil {
		if r.big {
			return binary.BigEndian.Uint16(b)
		}
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U24 reads three bytes.
func (r *Reader) U24() uint32 {
	if b := r.Bytes(3); b != nil {
		if r.big {
			return uint32(b[2]) | uint32(b[1])<<8 | uint32(b[0])<<16
		}
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	}
	return 0
}

// U32 reads four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Bytes(4); b != nil {
		if r.big {
			return binary.BigEndian.Uint32(b)
		}
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight bytes.
func (r *Reader) U64() uint64 {
	if b := r.Bytes(8); b != nil {
		if r.big {
			return binary.BigEndian.Uint64(b)
		}
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Uint reads an unsigned number of 1, 2, 4 or 8 bytes; another size fails.
func (r *Reader) Uint(size int) uint64 {
	switch size {
	case 1:
		return uint64(r.U8())
	case 2:
		return uint64(r.U16())
	case 4:
		return uint64(r.U32())
	case 8:
		return r.U64()
	}
	r.Fail()
	return 0
}

// Int reads a signed number of 1, 2, 4 or 8 bytes; another size fails.
func (r *Reader) Int(size int) int64 {
	v := r.Uint(size)
	if size < 1 || size > 8 {
		return 0
	}
	shift := 64 - 8*uint(size)
	return int64(v<<shift) >> shift
}

// Uleb reads an unsigned LEB128 number. Bits past the 64th are dropped, as the
// producers that pad with them expect.
func (r *Reader) Uleb() uint64 {
	if r.off < len(r.data) && r.data[r.off] < 0x80 {
		v := r.data[r.off]
		r.off++
		return uint64(v)
	}
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if r.off >= len(r.data) {
			r.bad = true
			return 0
		}
		b := r.data[r.off]
		r.off++
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

// Sleb reads a signed LEB128 number.
func (r *Reader) Sleb() int64 {
	var v uint64
	for shift := uint(0); ; {
		if r.off >= len(r.data) {
			r.bad = true
			return 0
		}
		b := r.data[r.off]
		r.off++
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		shift += 7
		if b < 0x80 {
			if b&0x40 != 0 && shift < 64 {
				v |= ^uint64(0) << shift
			}
			return int64(v)
		}
	}
}

// CString reads bytes up to a NUL, which it skips; without one it fails.
func (r *Reader) CString() []byte {
	for i := r.off; i < len(r.data); i++ {
		if r.data[i] == 0 {
			s := r.data[r.off:i]
			r.off = i + 1
			return s
		}
	}
	r.Fail()
	return nil
}

// UnitLength reads an initial length (DWARF 5, section 7.4). offsetSize is 4,
// or 8 in the 64-bit format.
func (r *Reader) UnitLength() (length uint64, offsetSize int) {
	n := r.U32()
	switch {
	case n == 0xffffffff:
		return r.U64(), 8
	case n >= 0xfffffff0:
		r.Fail()
	}
	return uint64(n), 4
}
