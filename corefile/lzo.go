package corefile

import "errors"

var errLZO = errors.New("malformed LZO data")

// unpackLZO unpacks one LZO1X block to at most size bytes. The block is a
// sequence of instructions, each a copy of earlier output followed by up to
// three literal bytes, or a run of literals (Linux,
// Documentation/staging/lzo.rst).
func unpackLZO(src []byte, size int) ([]byte, error) {
	z := lzo{src: src, out: make([]byte, 0, size)}
	const runs = 4 // state: the last instruction was a run of literals
	state := 0     // literals the last instruction ended with, or runs
	if len(src) > 0 && src[0] > 17 {
		// A first byte above 17 is a run of that many literals less 17.
		n := int(z.byte()) - 17
		z.literals(n)
		if state = n; n > 3 {
			state = runs
		}
	}
	for !z.bad {
		op := int(z.byte())
		var length, distance, trailing int
		switch {
		case op >= 64:
			length = 3 + op>>5&1
			if op >= 128 {
				length = 5 + op>>5&3
			}
			distance = int(z.byte())<<3 + op>>2&7 + 1
			trailing = op & 3
		case op >= 32:
			length = z.length(op, 31) + 2
			d := z.word()
			distance, trailing = d>>2+1, d&3
		case op >= 16:
			length = z.length(op, 7) + 2
			d := z.word()
			distance, trailing = 16384+op&8<<11+d>>2, d&3
			if distance == 16384 { // the end
				if z.bad {
					return nil, errLZO
				}
				return z.out, nil
			}
		case state == 0:
			z.literals(z.length(op, 15) + 3)
			state = runs
			continue
		case state == runs:
			length, trailing = 3, op&3
			distance = int(z.byte())<<2 + op>>2 + 2049
		default:
			length, trailing = 2, op&3
			distance = int(z.byte())<<2 + op>>2 + 1
		}
		z.match(distance, length)
		z.literals(trailing)
		state = trailing
	}
	return nil, errLZO
}

// lzo is the state of one unpacking. Once bad, nothing is read or written.
type lzo struct {
	src, out []byte
	bad      bool
}

func (z *lzo) byte() byte {
	if len(z.src) == 0 {
		z.bad = true
		return 0
	}
	b := z.src[0]
	z.src = z.src[1:]
	return b
}

// word reads 16 bits, little-endian.
func (z *lzo) word() int { return int(z.byte()) | int(z.byte())<<8 }

// length is the length in the low bits of an instruction; 0 there says that it
// follows: 255 for each zero byte, and the byte after them.
func (z *lzo) length(op, mask int) int {
	n := op & mask
	if n != 0 {
		return n
	}
	n = mask
	for !z.bad {
		b := int(z.byte())
		if b != 0 {
			return n + b
		}
		if n += 255; n > cap(z.out) {
			z.bad = true
		}
	}
	return 0
}

func (z *lzo) literals(n int) {
	if z.bad || n > len(z.src) || n > cap(z.out)-len(z.out) {
		z.bad = true
		return
	}
	z.out = append(z.out, z.src[:n]...)
	z.src = z.src[n:]
}

// match copies length bytes from distance back; they may overlap the end.
func (z *lzo) match(distance, length int) {
	if z.bad || distance > len(z.out) || length > cap(z.out)-len(z.out) {
		z.bad = true
		return
	}
	for range length {
		z.out = append(z.out, z.out[len(z.out)-distance])
	}
}
