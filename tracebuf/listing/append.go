package listing

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// clean tells whether all bytes are printable ASCII, eight at a time.
func clean(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		// A byte sets its high bit if it is below ' ', above '~', or not ASCII.
		v := binary.LittleEndian.Uint64(b)
		if ((v-ones*' ')|(v+ones)|v)&high != 0 {
			return false
		}
		b = b[8:]
	}
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
	const blank = "         0.000000"
	sec, us := ns/1e9, uint32(ns%1e9/1e3)
	if sec >= 1e9 {
		dst = append(strconv.AppendUint(dst, sec, 10), blank[10:]...)
	} else {
		dst = append(dst, blank[1:]...)
		b := dst[len(dst)-16 : len(dst)-7]
		for i, v := 8, uint32(sec); v > 0; i, v = i-1, v/10 {
			b[i] = byte('0' + v%10)
		}
	}
	b := dst[len(dst)-6:]
	for i := 5; us > 0; i, us = i-1, us/10 {
		b[i] = byte('0' + us%10)
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

// appendCSV appends a field of RFC 4180, without anything that could drive a
// terminal: that is where lines go that nobody sends elsewhere.
func appendCSV(dst, s []byte) []byte {
	if !clean(s) {
		s = appendSafe(nil, s)
	}
	if bytes.IndexByte(s, '"') < 0 && bytes.IndexByte(s, ',') < 0 {
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
