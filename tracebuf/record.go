package tracebuf

import (
	"bytes"
	"encoding/binary"
)

const (
	recordMagic  = 0x64685254 // "TRhd"
	recordHeader = 24         // magic, size, time, cookie
)

// Problem says why bytes of the buffer are no record.
type Problem uint8

const (
	// Good: a record.
	Good Problem = iota
	// HalfWritten: the guest was interrupted inside a tracepoint; the magic
	// number, which is written last, is still zero.
	HalfWritten
	// BadMagic: no record starts where the one before it ended.
	BadMagic
	// UnknownCookie: a record of a tracepoint the image does not define; a
	// wrong image or a wrong slide.
	UnknownCookie
	// BadSize: the size is not the one its definition and strings give.
	BadSize
	// CutOff: the data ends inside the record.
	CutOff
)

func (p Problem) String() string {
	switch p {
	case Good:
		return "good"
	case HalfWritten:
		return "half-written record"
	case BadMagic:
		return "no record header"
	case UnknownCookie:
		return "cookie of no tracepoint in the image"
	case BadSize:
		return "size does not fit the tracepoint's arguments"
	case CutOff:
		return "cut off by the end of the data"
	}
	return "unknown problem"
}

// Record is one event, or with Problem set a stretch of bytes that is none.
type Record struct {
	Problem Problem
	// Offset is where the record starts in the data, Size its length in bytes
	// with its header; for a bad one, how much was skipped.
	Offset, Size int
	// Time is in nanoseconds since the guest's boot, by the guest's clock.
	Time uint64
	// Cookie is the run-time address of the definition, also known with
	// UnknownCookie.
	Cookie uint64
	// Def is the tracepoint, nil if the record is bad.
	Def *Definition
	// Args is the raw bytes of the arguments. They alias the scanned data.
	Args []byte
	// Position tells the record from all others of its guest run, however it is
	// read; 0 where whoever scanned did not say. See Positions.
	Position uint64
	// Ext is what an extended record tells beyond a plain one, nil for plain
	// ones. It is the scanner's and valid until the next Scan.
	Ext *Ext
}

// arg returns the bytes of argument i, without a string's length byte, or nil
// if there is no such argument.
func (r *Record) arg(i int) []byte {
	if r.Def == nil || i < 0 || i >= len(r.Def.Args) {
		return nil
	}
	// Past the first string, offsets depend on the strings.
	known := min(i, len(r.Def.offsets)-1)
	off := r.Def.offsets[known]
	for j := known; ; j++ {
		n := int(r.Def.Args[j].Size)
		if r.Def.Args[j].Type == ArgString {
			if off >= len(r.Args) {
				return nil
			}
			n = int(r.Args[off])
			off++
		}
		if off+n > len(r.Args) {
			return nil
		}
		if j == i {
			return r.Args[off : off+n : off+n]
		}
		off += n
	}
}

// Uint returns integer argument i zero-extended, 0 if there is no such integer.
func (r *Record) Uint(i int) uint64 {
	b := r.arg(i)
	if b == nil || r.Def.Args[i].Type != ArgInt {
		return 0
	}
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// Int returns integer argument i sign-extended from its stored size.
func (r *Record) Int(i int) int64 {
	v := r.Uint(i)
	if r.Def == nil || i < 0 || i >= len(r.Def.Args) {
		return 0
	}
	shift := 64 - 8*uint(r.Def.Args[i].Size&15)
	return int64(v<<shift) >> shift
}

// Bytes returns string argument i, which aliases the scanned data, or nil if
// there is no such string.
func (r *Record) Bytes(i int) []byte {
	b := r.arg(i)
	if b == nil || r.Def.Args[i].Type != ArgString {
		return nil
	}
	return b
}

// String returns a copy of string argument i, "" if there is no such string.
func (r *Record) String(i int) string { return string(r.Bytes(i)) }

// Signed tells whether the format prints integer argument i with a sign.
func (r *Record) Signed(i int) bool {
	return r.Def != nil && r.Def.Signed(i)
}

// AppendText appends the record as the guest's printf would print it, a
// trailing newline of the format included. The bytes are not escaped.
func (r *Record) AppendText(dst []byte) []byte {
	if r.Def == nil {
		return dst
	}
	var few [fewArgs]Value
	return r.Def.text.append(dst, r.Args, r.Values(few[:0]))
}

// AppendValues is AppendText for who has the record's values already.
func (r *Record) AppendValues(dst []byte, vals []Value) []byte {
	if r.Def == nil {
		return dst
	}
	return r.Def.text.append(dst, r.Args, vals)
}

// Text returns the printed record without trailing newlines.
func (r *Record) Text() string { return string(bytes.TrimRight(r.AppendText(nil), "\r\n")) }

// Clone returns a record that no longer aliases the scanned data.
func (r *Record) Clone() Record {
	c := *r
	c.Args = bytes.Clone(r.Args)
	if r.Ext != nil {
		e := *r.Ext
		e.Stack = bytes.Clone(r.Ext.Stack)
		c.Ext = &e
	}
	return c
}
