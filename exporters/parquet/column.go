package parquet

import (
	"encoding/binary"
	"strings"
)

// The physical types of parquet.thrift.
const (
	typeBoolean   = 0
	typeInt32     = 1
	typeInt64     = 2
	typeByteArray = 6
)

// logical is what the values of a column mean.
type logical int

const (
	plain logical = iota
	textual
	jsonText
	timestamp
	unsigned
)

// column collects the values of one column in a row group.
type column struct {
	name     string
	physical int32
	logical  logical
	optional bool

	rows    int
	present []bool // optional columns: which rows have a value
	values  []byte // encoded PLAIN
	bits    int    // boolean columns: how many values
}

func (c *column) null() {
	c.rows++
	c.present = append(c.present, false)
}

func (c *column) some() {
	c.rows++
	if c.optional {
		c.present = append(c.present, true)
	}
}

func (c *column) int64(v int64) {
	c.some()
	c.values = binary.LittleEndian.AppendUint64(c.values, uint64(v))
}

func (c *column) int32(v int32) {
	c.some()
	c.values = binary.LittleEndian.AppendUint32(c.values, uint32(v))
}

func (c *column) text(s string) {
	c.some()
	s = strings.ToValidUTF8(s, "\uFFFD")
	c.values = binary.LittleEndian.AppendUint32(c.values, uint32(len(s)))
	c.values = append(c.values, s...)
}

func (c *column) bool(v bool) {
	c.some()
	if c.bits%8 == 0 {
		c.values = append(c.values, 0)
	}
	if v {
		c.values[len(c.values)-1] |= 1 << (c.bits % 8)
	}
	c.bits++
}

func (c *column) reset() {
	c.rows, c.present, c.values, c.bits = 0, c.present[:0], c.values[:0], 0
}

// page appends the bytes of a data page: the definition levels, if there are
// any, and the values.
func (c *column) page(dst []byte) []byte {
	if c.optional {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = levels(dst, c.present)
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return append(dst, c.values...)
}

// levels appends definition levels of one bit as runs of the RLE/bit-packing
// hybrid (Encodings.md): each run is its length doubled and one byte.
func levels(dst []byte, present []bool) []byte {
	for i := 0; i < len(present); {
		n := 1
		for i+n < len(present) && present[i+n] == present[i] {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(n)<<1)
		if present[i] {
			dst = append(dst, 1)
		} else {
			dst = append(dst, 0)
		}
		i += n
	}
	return dst
}
