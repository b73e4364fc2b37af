package ctype

import (
	"fmt"

	"github.com/go-delve/delve/pkg/dwarf/leb128"
)

// DWARF operations handled here rather than by delve's op (DWARF 5, section
// 2.5 and 7.7.1; the GNU ones are what gcc wrote before DWARF 5).
const (
	opAddr            = 0x03
	opConst1u         = 0x08
	opConst8u         = 0x0e
	opDeref           = 0x06
	opAnd             = 0x1a
	opShl             = 0x24
	opShra            = 0x26
	opBra             = 0x28
	opSkip            = 0x2f
	opReg0            = 0x50
	opReg31           = 0x6f
	opRegx            = 0x90
	opBregx           = 0x92
	opPiece           = 0x93
	opDerefSize       = 0x94
	opBitPiece        = 0x9d
	opImplicitPointer = 0xa0
	opAddrx           = 0xa1
	opConstx          = 0xa2
	opEntryValue      = 0xa3
	opConstType       = 0xa4
	opRegvalType      = 0xa5
	opDerefType       = 0xa6
	opConvert         = 0xa8
	opReinterpret     = 0xa9
	opGNUImplicitPtr  = 0xf2
	opGNUEntryValue   = 0xf3
	opGNUConstType    = 0xf4
	opGNURegvalType   = 0xf5
	opGNUDerefType    = 0xf6
	opGNUConvert      = 0xf7
	opGNUReinterpret  = 0xf9
	opGNUParamRef     = 0xfa
	opGNUAddrIndex    = 0xfb
	opGNUConstIndex   = 0xfc
	opGNUVariable     = 0xfd
)

// operands tells what follows an operation: a digit is a fixed length, u and s
// are LEB128, B is a length and so many bytes, C is one byte of length and so
// many bytes, a is an address, o an offset of the section. Operations without operands are not
// listed; unknown ones fail.
func operands(op byte) (string, bool) {
	switch {
	case op >= 0x30 && op <= opReg31: // lit, reg
		return "", true
	case op >= 0x70 && op <= 0x8f: // breg
		return "s", true
	}
	switch op {
	case opAddr:
		return "a", true
	case 0x08, 0x09, 0x15, opDerefSize, 0x95:
		return "1", true
	case 0x0a, 0x0b, opBra, opSkip:
		return "2", true
	case 0x0c, 0x0d:
		return "4", true
	case 0x0e, 0x0f:
		return "8", true
	case 0x10, 0x23, opRegx, opPiece, opAddrx, opConstx, opConvert, opReinterpret,
		opGNUConvert, opGNUReinterpret, opGNUAddrIndex, opGNUConstIndex:
		return "u", true
	case 0x11, 0x91: // consts, fbreg
		return "s", true
	case opBregx:
		return "us", true
	case opBitPiece, opRegvalType, opGNURegvalType:
		return "uu", true
	case 0x9e, opEntryValue, opGNUEntryValue: // implicit_value
		return "B", true
	case opConstType, opGNUConstType:
		return "uC", true
	case opDerefType, opGNUDerefType:
		return "1u", true
	case opImplicitPointer, opGNUImplicitPtr:
		return "os", true
	case opGNUVariable:
		return "o", true
	case opGNUParamRef:
		return "4", true
	case 0x06, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22,
		0x24, 0x25, 0x26, 0x27, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x96, 0x97, 0x9c, 0x9f, 0x9b, 0xe0, 0xf0:
		return "", true
	}
	return "", false
}

// operation is one operation of a location expression.
type operation struct {
	op    byte
	args  [2]uint64 // s in two's complement
	block []byte
	raw   []byte // the operation as it stands
}

// maxExpr bounds the length of a location expression, in bytes.
const maxExpr = 1 << 16

// operations cuts an expression into its operations, checking every length.
func operations(expr []byte, addrSize, offsetSize int) ([]operation, error) {
	if len(expr) > maxExpr {
		return nil, fmt.Errorf("location expression of %d bytes", len(expr))
	}
	var out []operation
	for pos := 0; pos < len(expr); {
		o := operation{op: expr[pos]}
		kinds, ok := operands(o.op)
		if !ok {
			return nil, fmt.Errorf("location expression: unknown operation %#x", o.op)
		}
		p := expr[pos+1:]
		cut := func(n uint64) []byte {
			if n > uint64(len(p)) {
				ok = false
				return nil
			}
			b := p[:n]
			p = p[n:]
			return b
		}
		for i, k := range kinds {
			switch k {
			case 'u', 's', 'B':
				v, n := uleb(p)
				if n == 0 {
					ok = false
					break
				}
				if k == 's' {
					s, _ := leb128.DecodeSigned(&bytesReader{p[:n]})
					v = uint64(s)
				}
				cut(uint64(n))
				o.args[i] = v
				if k == 'B' {
					o.block = cut(v)
				}
			case 'C':
				if n := cut(1); n != nil {
					o.block = cut(uint64(n[0]))
				}
			default:
				size := map[rune]int{'a': addrSize, 'o': offsetSize, '1': 1, '2': 2, '4': 4, '8': 8}[k]
				o.args[i] = Extract(cut(uint64(size)), 0, 0, false)
			}
			if !ok {
				return nil, fmt.Errorf("location expression: operation %#x is cut off", o.op)
			}
		}
		o.raw = expr[pos : len(expr)-len(p)]
		pos = len(expr) - len(p)
		out = append(out, o)
	}
	return out, nil
}

// bytesReader is the reader leb128 wants.
type bytesReader struct{ b []byte }

func (r *bytesReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, errCutOff
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

func (r *bytesReader) Read(p []byte) (int, error) {
	n := copy(p, r.b)
	r.b = r.b[n:]
	if n == 0 && len(p) > 0 {
		return 0, errCutOff
	}
	return n, nil
}

func (r *bytesReader) Len() int { return len(r.b) }
