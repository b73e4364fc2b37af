package exporters

import (
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the attributes as one JSON object. Integers are written in
// full, addresses as hexadecimal text; bytes that are no UTF-8 are replaced. Of
// two attributes with one key both are written.
func AppendJSON(dst []byte, attrs []Attr) []byte {
	dst = append(dst, '{')
	for i, a := range attrs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendJSONString(dst, a.Key)
		dst = append(dst, ':')
		switch a.Kind {
		case KindString:
			dst = AppendJSONString(dst, a.Str)
		case KindInt:
			dst = strconv.AppendInt(dst, int64(a.Num), 10)
		case KindBool:
			dst = strconv.AppendBool(dst, a.Num != 0)
		case KindPointer:
			dst = append(dst, `"0x`...)
			dst = append(strconv.AppendUint(dst, a.Num, 16), '"')
		default:
			dst = strconv.AppendUint(dst, a.Num, 10)
		}
	}
	return append(dst, '}')
}

// AppendJSONString appends s quoted. What HTML could take for its own is escaped,
// so that it may stand inside a page.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n <= 1:
			// One for a run of them, as strings.ToValidUTF8 does.
			dst = append(dst, "\uFFFD"...)
			for n < len(s) {
				if r, more := utf8.DecodeRuneInString(s[n:]); r != utf8.RuneError || more > 1 {
					break
				}
				n++
			}
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20, r == '<', r == '>', r == '&', r == 0x7f, r == 0x2028, r == 0x2029:
			dst = append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	return append(dst, '"')
}
