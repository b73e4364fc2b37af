package asserts

import "bytes"

// hexValue parses leading hex digits, with or without 0x, and returns how many
// bytes it used. 0 if there is no number or more than 16 digits.
func hexValue(b []byte) (v uint64, n int) {
	if len(b) > 2 && b[0] == '0' && (b[1] == 'x' || b[1] == 'X') && isHex(b[2]) {
		n = 2
	}
	digits := 0
	for n < len(b) && isHex(b[n]) {
		if digits++; digits > 16 {
			return 0, 0
		}
		v = v<<4 | uint64(hexDigit(b[n]))
		n++
	}
	if digits == 0 {
		return 0, 0
	}
	return v, n
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hexDigit(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// after returns what follows the first marker in b.
func after(b []byte, marker string) (rest []byte, ok bool) {
	i := bytes.Index(b, []byte(marker))
	if i < 0 {
		return nil, false
	}
	return b[i+len(marker):], true
}

// hexAfter parses the number that follows marker in b.
func hexAfter(b []byte, marker string) Word {
	rest, ok := after(b, marker)
	if !ok {
		return Word{}
	}
	v, n := hexValue(rest)
	if n == 0 || n < len(rest) && isWord(rest[n]) {
		return Word{} // nothing, or a word like "address"
	}
	return Value(v)
}

// hexBytes parses two-digit bytes separated by single blanks, at most limit.
func hexBytes(b []byte, limit int) (data []byte, rest []byte) {
	for len(data) < limit && len(b) >= 2 && isHex(b[0]) && isHex(b[1]) && (len(b) == 2 || b[2] == ' ') {
		data = append(data, hexDigit(b[0])<<4|hexDigit(b[1]))
		if b = b[2:]; len(b) > 0 {
			b = b[1:]
		}
	}
	return data, b
}
