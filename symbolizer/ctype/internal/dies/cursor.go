package dies

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// cursor reads little-endian data and never past the end: after a short read
// bad is set and every value is 0.
type cursor struct {
	b   []byte
	off uint64
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || c.off > uint64(len(c.b)) || n > uint64(len(c.b))-c.off {
		c.bad = true
		return nil
	}
	p := c.b[c.off : c.off+n]
	c.off += n
	return p
}

func (c *cursor) uint(size int) uint64 {
	p := c.take(uint64(size))
	switch len(p) {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	case 8:
		return binary.LittleEndian.Uint64(p)
	}
	var v uint64
	for i := len(p) - 1; i >= 0; i-- {
		v = v<<8 | uint64(p[i])
	}
	return v
}

func (c *cursor) uleb() uint64 {
	// Most are one byte.
	if !c.bad && c.off < uint64(len(c.b)) && c.b[c.off] < 0x80 {
		c.off++
		return uint64(c.b[c.off-1])
	}
	return c.longUleb()
}

func (c *cursor) longUleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if c.bad || c.off >= uint64(len(c.b)) {
			c.bad = true
			return 0
		}
		x := c.b[c.off]
		c.off++
		if shift < 64 {
			v |= uint64(x&0x7f) << shift
		}
		if x&0x80 == 0 {
			return v
		}
	}
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		if c.bad || c.off >= uint64(len(c.b)) {
			c.bad = true
			return 0
		}
		x := c.b[c.off]
		c.off++
		if shift < 64 {
			v |= int64(x&0x7f) << shift
		}
		if x&0x80 == 0 {
			if x&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// cstring returns the bytes up to the next NUL and steps over it.
func (c *cursor) cstring() []byte {
	if c.bad || c.off > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	if n := bytes.IndexByte(c.b[c.off:], 0); n >= 0 {
		s := c.b[c.off : c.off+uint64(n)]
		c.off += uint64(n) + 1
		return s
	}
	c.bad = true
	return nil
}

// FormatError says that debugging information is malformed.
type FormatError struct {
	Section string
	Off     uint64
	What    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("malformed DWARF: %s+%#x: %s", e.Section, e.Off, e.What)
}

func infoError(off uint64, format string, args ...any) error {
	return &FormatError{Section: ".debug_info", Off: off, What: fmt.Sprintf(format, args...)}
}
