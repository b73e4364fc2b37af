package listing

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// clean tells whether all bytes are printable ASCII.
func clean(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// appendSafe appends text without anything that could drive a terminal.
func appendSafe(dst, text []byte) []byte {
	if clean(text) {
		return append(dst, text...)
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n <= 1 || !unicode.IsPrint(r):
			for _, c := range text[i : i+n] {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			}
		default:
			dst = append(dst, text[i:i+n]...)
		}
		i += n
	}
	return dst
}

const hex = "0123456789abcdef"

// escapeFrom makes what was appended since a length safe.
func escapeFrom(dst []byte, from int) []byte {
	if clean(dst[from:]) {
		return dst
	}
	text := append([]byte(nil), dst[from:]...)
	return appendSafe(dst[:from], text)
}

// padFrom fills what was appended since a length up to a width in characters.
func padFrom(dst []byte, from, width int) []byte {
	n := len(dst) - from
	if n < width || !clean(dst[from:]) {
		n = utf8.RuneCount(dst[from:])
	}
	for ; n < width; n++ {
		dst = append(dst, ' ')
	}
	return dst
}

// appendSeconds appends nanoseconds as seconds with six decimals, cut not
// rounded, right-aligned in 16 characters.
func appendSeconds(dst []byte, ns uint64) []byte {
	var b [24]byte
	s := strconv.AppendUint(b[:0], ns/1e9, 10)
	for n := len(s) + 7; n < 16; n++ {
		dst = append(dst, ' ')
	}
	dst = append(append(dst, s...), '.')
	us := uint32(ns % 1e9 / 1e3)
	for div := uint32(100000); div > 0; div /= 10 {
		dst = append(dst, byte('0'+us/div%10))
	}
	return dst
}

// appendJSON appends a JSON string.
func appendJSON(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n <= 1 {
				dst = append(dst, "\ufffd"...)
			} else {
				dst = append(dst, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

// appendCSV appends a field of RFC 4180.
func appendCSV(dst, s []byte) []byte {
	plain := true
	for _, c := range s {
		if c == '"' || c == ',' || c == '\n' || c == '\r' {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for _, c := range s {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// trimEnd cuts trailing line ends that were appended since a length.
func trimEnd(dst []byte, from int) []byte {
	for len(dst) > from && (dst[len(dst)-1] == '\n' || dst[len(dst)-1] == '\r') {
		dst = dst[:len(dst)-1]
	}
	return dst
}
