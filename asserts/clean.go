package asserts

// clean removes, in place, what terminals and transports add to a line: the
// line's end, carriage returns, ANSI escape sequences and control bytes. Tabs
// stay, and NUL bytes too, which the envelope needs to see (segment.go).
func clean(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	i := 0
	for i < len(b) && !unwanted(b[i]) {
		i++
	}
	if i == len(b) {
		return b
	}
	out := b[:i]
	for i < len(b) {
		switch c := b[i]; {
		case c == 0x1b:
			i += escapeLen(b[i:])
		case unwanted(c):
			i++
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

func unwanted(c byte) bool { return c < 0x20 && c != '\t' && c != 0 || c == 0x7f }

// escapeLen returns the length of the escape sequence b starts with (ECMA-48):
// ESC [ … final byte, ESC ] … BEL or ESC \, or ESC and one byte. An unfinished
// sequence is only its introducer, so that no text is lost with it.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b) && i < 32; i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 || b[i] > 0x7e {
				break
			}
		}
	case ']':
		for i := 2; i < len(b) && i < 256; i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
		}
	case 0x1b:
		return 1
	}
	return 2
}
