package packet

import "bytes"

// Kind says what a Token is.
type Kind int

const (
	// More: every byte was consumed, nothing is complete yet.
	More Kind = iota
	// Data is a packet with a right checksum; Payload is decoded.
	Data
	// Notification is a '%' packet with a right checksum.
	Notification
	// Ack is '+', Nack is '-'.
	Ack
	Nack
	// Break is a lone 0x03, which a client sends to a stub.
	Break
	// BadChecksum is a packet whose sum is wrong or whose encoding is not
	// well-formed; Payload is nil.
	BadChecksum
	// TooLong is the end of a packet longer than Reader.Max.
	TooLong
	// Noise is bytes outside packets, such as console text on the same line;
	// Payload has them as they came.
	Noise
)

// Token is one thing read. Payload is valid until the next call of Next or
// until the bytes given to Next change.
type Token struct {
	Kind    Kind
	Payload []byte
}

// DefaultMax is the payload limit of a Reader whose Max is 0: 1 MiB after
// decoding, far above the 4 KiB to 128 KiB stubs use.
const DefaultMax = 1 << 20

type state int

const (
	idle   state = iota // between packets
	inside              // after '$' or '%'
	sum1                // after '#'
	sum2                // after the first checksum digit
)

// Reader splits a stream of bytes into tokens. The zero value is ready.
type Reader struct {
	// Max bounds a payload, encoded and decoded, in bytes; 0 is DefaultMax.
	Max int

	st     state
	kind   Kind   // Data or Notification, while inside a packet
	raw    []byte // the encoded payload so far
	long   bool   // raw would be over Max
	digit  byte   // first checksum digit
	out    []byte // decoded payload
	strays int    // packets cut off by a new '$'
}

// CutOff returns how many packets were ended by the start of another one.
func (r *Reader) CutOff() int { return r.strays }

// Partial reports whether the stream is in the middle of a packet.
func (r *Reader) Partial() bool { return r.st != idle }

func (r *Reader) max() int {
	if r.Max > 0 {
		return r.Max
	}
	return DefaultMax
}

// Next consumes n bytes of in, up to the end of the first complete token.
func (r *Reader) Next(in []byte) (tok Token, n int) {
	if len(in) == 0 {
		return Token{}, 0
	}
	if r.st == idle {
		switch in[0] {
		case '$', '%':
			if tok, n, ok := r.whole(in); ok {
				return tok, n
			}
			r.begin(in[0])
			n = 1
		case '+':
			return Token{Kind: Ack}, 1
		case '-':
			return Token{Kind: Nack}, 1
		case Interrupt:
			return Token{Kind: Break}, 1
		default:
			for n < len(in) && !framing(in[n]) {
				n++
			}
			return Token{Kind: Noise, Payload: in[:n]}, n
		}
	}
	for ; n < len(in); n++ {
		c := in[n]
		switch r.st {
		case inside:
			n += r.take(in[n:]) - 1
		case sum1:
			r.digit = c
			r.st = sum2
		case sum2:
			r.st = idle
			return r.end(r.raw, r.digit, c), n + 1
		}
	}
	return Token{}, n
}

func framing(c byte) bool {
	return c == '$' || c == '%' || c == '+' || c == '-' || c == Interrupt
}

func (r *Reader) begin(c byte) {
	r.st, r.kind, r.raw, r.long = inside, Data, r.raw[:0], false
	if c == '%' {
		r.kind = Notification
	}
}

// take adds in to the packet until it ends and returns how many bytes that
// took, at least 1. A raw '$' is never inside a packet: it starts a new one.
func (r *Reader) take(in []byte) int {
	i := bytes.IndexAny(in, "#$")
	body := in
	if i >= 0 {
		body = in[:i]
	}
	if room := r.max() - len(r.raw); len(body) > room {
		r.long = true
	} else {
		r.raw = append(r.raw, body...)
	}
	if i < 0 {
		return len(in)
	}
	if in[i] == '$' {
		r.strays++
		r.begin('$')
	} else {
		r.st = sum1
	}
	return i + 1
}

// whole handles the usual case without copying: the packet is all in in and
// has neither escapes nor runs.
func (r *Reader) whole(in []byte) (Token, int, bool) {
	end := bytes.IndexByte(in, '#')
	if end < 0 || end+3 > len(in) || end-1 > r.max() {
		return Token{}, 0, false
	}
	body := in[1:end]
	if bytes.IndexByte(body, '$') >= 0 {
		return Token{}, 0, false
	}
	r.begin(in[0])
	r.st = idle
	return r.end(body, in[end+1], in[end+2]), end + 3, true
}

// end checks and decodes a finished packet.
func (r *Reader) end(raw []byte, d1, d2 byte) Token {
	if r.long {
		return Token{Kind: TooLong}
	}
	hi, lo := nibble[d1], nibble[d2]
	if (hi|lo)&notHex != 0 || hi<<4|lo != Checksum(raw) {
		return Token{Kind: BadChecksum}
	}
	if bytes.IndexByte(raw, '}') < 0 && bytes.IndexByte(raw, '*') < 0 {
		return Token{Kind: r.kind, Payload: raw}
	}
	out, why := decode(r.out[:0], raw, r.max())
	r.out = out
	switch why {
	case decodeTooLong:
		return Token{Kind: TooLong}
	case decodeBad:
		return Token{Kind: BadChecksum}
	}
	return Token{Kind: r.kind, Payload: out}
}

type decodeResult int

const (
	decodeOK decodeResult = iota
	decodeBad
	decodeTooLong
)

// decode undoes escapes and runs. A run is a byte, '*' and a count plus 29,
// where the count is of further copies and the sum is a printable character.
func decode(dst, raw []byte, limit int) ([]byte, decodeResult) {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '}':
			i++
			if i == len(raw) {
				return dst, decodeBad
			}
			dst = append(dst, raw[i]^0x20)
		case '*':
			i++
			if i == len(raw) || len(dst) == 0 || raw[i] < ' ' || raw[i] > '~' {
				return dst, decodeBad
			}
			last := dst[len(dst)-1]
			for n := int(raw[i]) - 29; n > 0; n-- {
				dst = append(dst, last)
			}
		default:
			dst = append(dst, c)
		}
		if len(dst) > limit {
			return dst[:0], decodeTooLong
		}
	}
	return dst, decodeOK
}
