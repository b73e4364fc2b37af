package asserts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// jsonStart begins each line of docker's json-file log
// (moby daemon/logger/jsonfilelog/jsonlog: "log" is its first key).
var jsonStart = []byte(`{"log":"`)

// jsonLine takes the text out of a line of docker's json-file log, decoded in
// place. partial: the rest of the line comes with the next one, as docker cuts
// lines at 16 KiB. ok is false for a line that is none.
func jsonLine(b []byte) (text []byte, partial, ok bool) {
	rest, ok := bytes.CutPrefix(b, jsonStart)
	if !ok {
		return b, false, false
	}
	out := rest[:0]
	for i := 0; i < len(rest); {
		c := rest[i]
		if c == '"' {
			break
		}
		if c != '\\' || i+1 == len(rest) {
			out = append(out, c)
			i++
			continue
		}
		r, n := jsonEscape(rest[i:])
		out = append(out, r...)
		i += n
	}
	whole, ended := bytes.CutSuffix(out, []byte{'\n'})
	return whole, !ended, true
}

// jsonEscape decodes the escape sequence b begins with (RFC 8259, section 7); n
// is its length, and that of text at most. What is none is left as it is.
func jsonEscape(b []byte) (text string, n int) {
	switch c := b[1]; c {
	case '"', '\\', '/':
		return string(c), 2
	case 'n':
		return "\n", 2
	case 'r':
		return "\r", 2
	case 't':
		return "\t", 2
	case 'b':
		return "\b", 2
	case 'f':
		return "\f", 2
	case 'u':
		var code [2]byte
		if len(b) >= 6 {
			if _, err := hex.Decode(code[:], b[2:6]); err == nil {
				return string(utf8.AppendRune(nil, rune(binary.BigEndian.Uint16(code[:])))), 6
			}
		}
	}
	return `\`, 1
}

// inJSON is an anchor as docker writes it (jsonlog escapes quotes, backslashes,
// control bytes, and what HTML would).
func inJSON(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\x1b", `\u001b`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(text)
}
