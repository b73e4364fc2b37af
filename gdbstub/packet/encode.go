package packet

// digits are the lower-case hex digits; every stub understands them.
const digits = "0123456789abcdef"

// Interrupt is the byte that asks a running guest to stop.
const Interrupt = 0x03

// Checksum returns the modulo-256 sum of the bytes between '$' and '#'.
func Checksum(p []byte) byte {
	var sum uint64
	for len(p) >= 8 {
		// Four 16-bit lanes each gain at most 2*255 a word, so that 128 words
		// fit before one could carry into the next.
		var lanes uint64
		n := min(len(p)/8, 128)
		for i := 0; i < n; i++ {
			w := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
				uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
			lanes += w&0x00ff00ff00ff00ff + w>>8&0x00ff00ff00ff00ff
			p = p[8:]
		}
		sum += lanes&0xffff + lanes>>16&0xffff + lanes>>32&0xffff + lanes>>48
	}
	for _, c := range p {
		sum += uint64(c)
	}
	return byte(sum)
}

// Append appends payload framed as a packet, escaping what must be: '$', '#',
// '}' and '*'.
func Append(dst, payload []byte) []byte {
	dst = append(dst, '$')
	start := len(dst)
	dst = AppendEscaped(dst, payload)
	return finish(dst, start)
}

// AppendString is Append for a string that needs no escapes, as the text
// packets a client sends are.
func AppendString(dst []byte, payload string) []byte {
	dst = append(dst, '$')
	start := len(dst)
	dst = append(dst, payload...)
	return finish(dst, start)
}

func finish(dst []byte, start int) []byte {
	sum := Checksum(dst[start:])
	return append(dst, '#', digits[sum>>4], digits[sum&15])
}

// AppendEscaped appends p with its reserved bytes escaped.
func AppendEscaped(dst, p []byte) []byte {
	for _, c := range p {
		switch c {
		case '$', '#', '}', '*':
			dst = append(dst, '}', c^0x20)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendHex appends each byte of p as two hex digits.
func AppendHex(dst, p []byte) []byte {
	for _, c := range p {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// AppendUint appends v in hex without leading zeros, as addresses are sent.
func AppendUint(dst []byte, v uint64) []byte {
	shift := 60
	for shift > 0 && v>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}
