package tracebuf

import (
	"fmt"
	"strconv"
	"strings"
)

// maxField bounds widths and precisions: a format of the guest must not make us
// write gigabytes.
const maxField = 4096

// format is a compiled C printf format.
type format struct {
	parts []part
	// signed says for each argument whether its conversion prints a sign.
	signed []bool
	// names are what stands before each argument's conversion, as in "fd=%d".
	names []string
	sizes []uint8 // of the arguments' C types
	// problem says in what way the format and the arguments disagree.
	problem string
}

// part is literal text, or a conversion if conv is not 0.
type part struct {
	literal string
	conv    byte
	arg     int // index of the argument, -1 if there is none
	// widthArg and precArg are the arguments of a '*', else -1.
	widthArg, precArg int
	width, prec       int // prec is -1 where none is given
	narrow            uint8
	left, plus, space bool
	alt, zero         bool
	// bare: a conversion without flags, width and precision, as most are.
	bare bool
}

// compileFormat reads a C printf format (ISO C17, 7.21.6.1) for these
// arguments. Everything is accepted; what cannot mean anything is kept as text
// and told in problem.
func compileFormat(text string, args []Arg) format {
	f := format{signed: make([]bool, len(args)), names: make([]string, len(args)), sizes: make([]uint8, len(args))}
	for i, a := range args {
		f.sizes[i] = a.Size
	}
	next := 0 // argument
	take := func() int {
		if next >= len(args) {
			f.tell("the format asks for more arguments than are recorded")
			return -1
		}
		next++
		return next - 1
	}
	literal := func(s string) {
		if s != "" {
			f.parts = append(f.parts, part{literal: s})
		}
	}
	start := 0
	for i := 0; i < len(text); {
		if text[i] != '%' {
			i++
			continue
		}
		literal(text[start:i])
		p, end, ok := parseConversion(text, i+1, take)
		if !ok {
			f.tell(fmt.Sprintf("conversion %q is not known", text[i:end]))
			literal(text[i:end])
		} else if p.conv == '%' {
			literal("%")
		} else {
			f.conversion(&p, take, args)
			if p.arg >= 0 {
				f.names[p.arg] = nameBefore(text[start:i])
			}
		}
		i, start = end, end
	}
	literal(text[start:])
	if next < len(args) {
		f.tell(fmt.Sprintf("the format prints %d of %d arguments", next, len(args)))
	}
	return f
}

// conversion gives p its argument and checks that they fit.
func (f *format) conversion(p *part, take func() int, args []Arg) {
	p.arg = take()
	if p.arg >= 0 {
		isString := args[p.arg].Type == ArgString
		switch {
		case p.conv == 'f':
			// The macro stores (long)arg: the fraction is gone in the guest.
			f.tell("floating-point arguments are recorded as whole numbers")
			p.conv, f.signed[p.arg] = 'd', true
		case p.conv == 's' && !isString:
			f.tell("%s of an argument that is not recorded as a string")
			p.conv, p.prec = 'p', -1
		case p.conv != 's' && isString:
			f.tell("a string argument is printed by another conversion than %s")
			p.conv, p.prec = 's', -1
		case p.conv == 'd':
			f.signed[p.arg] = true
		}
	}
	p.bare = p.arg >= 0 && p.width == 0 && p.prec < 0 && p.widthArg < 0 && p.precArg < 0 && !p.plus && !p.space && p.narrow == 0
	f.parts = append(f.parts, *p)
}

// nameBefore returns the name in "name=" or "name=\"" at the end of text, "" if
// there is none.
func nameBefore(text string) string {
	text = strings.TrimSuffix(strings.TrimRight(text, "\"'"), "0x")
	text, ok := strings.CutSuffix(strings.TrimRight(text, " "), "=")
	if !ok {
		if text, ok = strings.CutSuffix(text, ":"); !ok {
			return ""
		}
	}
	start := len(text)
	for start > 0 && isNameByte(text[start-1]) {
		start--
	}
	if start < len(text) && text[start] >= '0' && text[start] <= '9' {
		return ""
	}
	return text[start:]
}

func isNameByte(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (f *format) tell(problem string) {
	if f.problem == "" {
		f.problem = problem
	}
}

// parseConversion reads what follows a '%' at text[i:] and returns where it
// ends. Equal conversions are folded: i into d, floating-point ones into f.
func parseConversion(text string, i int, take func() int) (p part, end int, ok bool) {
	p = part{arg: -1, widthArg: -1, precArg: -1, prec: -1}
flags:
	for ; i < len(text); i++ {
		switch text[i] {
		case '-':
			p.left = true
		case '+':
			p.plus = true
		case ' ':
			p.space = true
		case '#':
			p.alt = true
		case '0':
			p.zero = true
		case '\'': // no thousands separator in the C locale
		default:
			break flags
		}
	}
	if i < len(text) && text[i] == '*' {
		p.widthArg = take()
		i++
	} else {
		p.width, i = number(text, i)
	}
	if i < len(text) && text[i] == '.' {
		i++
		if i < len(text) && text[i] == '*' {
			p.precArg = take()
			i++
		} else {
			p.prec, i = number(text, i)
		}
	}
	i = p.length(text, i)
	if i == len(text) {
		return p, i, false
	}
	switch c := text[i]; c {
	case 'd', 'i':
		p.conv = 'd'
	case 'u', 'x', 'X', 'o', 'c', 's', 'p', '%':
		p.conv = c
	case 'f', 'F', 'e', 'E', 'g', 'G', 'a', 'A':
		p.conv = 'f'
	default:
		return p, i + 1, false
	}
	return p, i + 1, true
}

// length reads a length modifier. Only hh and h matter: how many bytes an
// argument has is recorded, so a longer or missing modifier adds nothing.
func (p *part) length(text string, i int) int {
	for ; i < len(text); i++ {
		switch text[i] {
		case 'h':
			p.narrow = 2
			if i > 0 && text[i-1] == 'h' {
				p.narrow = 1
			}
		case 'l', 'z', 'j', 't', 'q', 'L':
		default:
			return i
		}
	}
	return i
}

// number reads decimal digits, at most maxField.
func number(text string, i int) (n, end int) {
	for ; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
		n = min(n*10+int(text[i]-'0'), maxField)
	}
	return n, i
}

// append prints values whose strings lie in args.
func (f *format) append(dst, args []byte, vals []Value) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		if p.conv == 0 {
			dst = append(dst, p.literal...)
			continue
		}
		if p.bare && p.arg < len(vals) {
			v := &vals[p.arg]
			switch p.conv {
			case 's':
				dst = append(dst, str(args, *v)...)
				continue
			case 'd':
				dst = strconv.AppendInt(dst, signExtend(v.Num, f.sizes[p.arg]), 10)
				continue
			case 'u':
				dst = strconv.AppendUint(dst, v.Num, 10)
				continue
			case 'x', 'p':
				if (p.alt || p.conv == 'p') && v.Num == 0 {
					break
				}
				if p.alt || p.conv == 'p' {
					dst = append(dst, '0', 'x')
				}
				dst = strconv.AppendUint(dst, v.Num, 16)
				continue
			}
		}
		dst = p.append(dst, args, f, vals)
	}
	return dst
}

// num is integer argument i as stored, 0 if it is missing.
func num(vals []Value, i int) uint64 {
	if i < 0 || i >= len(vals) {
		return 0
	}
	return vals[i].Num
}

// snum is integer argument i with its sign.
func (f *format) snum(vals []Value, i int) int64 {
	if i < 0 || i >= len(vals) {
		return 0
	}
	return signExtend(vals[i].Num, f.sizes[i])
}

// append prints one conversion as C does.
func (p *part) append(dst, args []byte, f *format, vals []Value) []byte {
	if p.arg < 0 {
		return append(dst, "<not recorded>"...)
	}
	q := *p
	if q.widthArg >= 0 {
		w := clamp(f.snum(vals, q.widthArg))
		if w < 0 {
			q.left, w = true, -w
		}
		q.width = w
	}
	if q.precArg >= 0 {
		q.prec = max(clamp(f.snum(vals, q.precArg)), -1)
	}
	switch q.conv {
	case 's':
		var s []byte
		if q.arg < len(vals) {
			s = str(args, vals[q.arg])
		}
		if q.prec >= 0 && q.prec < len(s) {
			s = s[:q.prec]
		}
		return pad(dst, &q, "", 0, s)
	case 'c':
		c := [1]byte{byte(num(vals, q.arg))}
		return pad(dst, &q, "", 0, c[:])
	}
	return q.appendInt(dst, f, vals)
}

func (p *part) appendInt(dst []byte, f *format, vals []Value) []byte {
	var buf [24]byte
	prefix := ""
	v := num(vals, p.arg)
	digits := buf[:0]
	switch p.conv {
	case 'd':
		s := f.snum(vals, p.arg)
		switch p.narrow {
		case 1:
			s = int64(int8(s))
		case 2:
			s = int64(int16(s))
		}
		v = uint64(s)
		switch {
		case s < 0:
			prefix, v = "-", -v
		case p.plus:
			prefix = "+"
		case p.space:
			prefix = " "
		}
		digits = strconv.AppendUint(digits, v, 10)
	case 'p':
		if v == 0 {
			q := *p
			q.zero = false
			return pad(dst, &q, "", 0, []byte("(nil)"))
		}
		prefix = "0x"
		digits = strconv.AppendUint(digits, v, 16)
	default:
		switch p.narrow {
		case 1:
			v = uint64(uint8(v))
		case 2:
			v = uint64(uint16(v))
		}
		digits, prefix = p.unsigned(digits, v)
	}
	zeros := 0
	if p.prec >= 0 {
		if p.prec == 0 && v == 0 && !(p.conv == 'o' && p.alt) {
			digits = digits[:0]
		}
		zeros = max(p.prec-len(digits), 0)
	} else if p.zero && !p.left {
		zeros = max(p.width-len(prefix)-len(digits), 0)
	}
	// %#o raises the precision until the first digit is a zero.
	if p.conv == 'o' && p.alt && zeros == 0 && (len(digits) == 0 || digits[0] != '0') {
		zeros = 1
	}
	return pad(dst, p, prefix, zeros, digits)
}

func (p *part) unsigned(digits []byte, v uint64) (_ []byte, prefix string) {
	switch p.conv {
	case 'o':
		return strconv.AppendUint(digits, v, 8), ""
	case 'x', 'X':
		digits = strconv.AppendUint(digits, v, 16)
		if p.alt && v != 0 {
			prefix = "0x"
		}
		if p.conv == 'X' {
			if prefix != "" {
				prefix = "0X"
			}
			for i, c := range digits {
				if c >= 'a' {
					digits[i] = c - 'a' + 'A'
				}
			}
		}
		return digits, prefix
	}
	return strconv.AppendUint(digits, v, 10), ""
}

// pad appends prefix, zeros and body in a field of p's width.
func pad(dst []byte, p *part, prefix string, zeros int, body []byte) []byte {
	spaces := p.width - len(prefix) - zeros - len(body)
	if !p.left {
		dst = repeat(dst, ' ', spaces)
	}
	dst = append(dst, prefix...)
	dst = repeat(dst, '0', zeros)
	dst = append(dst, body...)
	if p.left {
		dst = repeat(dst, ' ', spaces)
	}
	return dst
}

func repeat(dst []byte, c byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, c)
	}
	return dst
}

// clamp keeps a width or precision taken from an argument within bounds.
func clamp(v int64) int { return int(max(min(v, maxField), -maxField)) }
