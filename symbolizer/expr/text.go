package expr

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// The limits of gdb's print settings, at their defaults.
const (
	printMax        = 200 // set print elements
	repeatThreshold = 10  // set print repeats
	maxPrintDepth   = 20  // set print max-depth
)

// textual reports whether an element type is shown as a character: one byte
// wide, or one of C's wide character types by name.
func textual(t *ctype.Type, format byte) bool {
	if format != 0 && format != 's' {
		return false
	}
	if wideName(t) != "" {
		return true
	}
	s := t.Strip()
	switch s.Kind {
	case ctype.Char:
		return true
	case ctype.Int:
		return s.Size() == 1
	}
	return false
}

// wideName returns wchar_t, char16_t or char32_t if a type is called that.
func wideName(t *ctype.Type) string {
	for range 16 {
		t = t.Unqualified()
		switch t.Name {
		case "wchar_t", "char16_t", "char32_t":
			return t.Name
		}
		if t.Kind != ctype.Typedef {
			break
		}
		t = t.Elem()
	}
	return ""
}

func widePrefix(t *ctype.Type) string {
	switch wideName(t) {
	case "wchar_t":
		return "L"
	case "char16_t":
		return "u"
	case "char32_t":
		return "U"
	}
	return ""
}

// charPrinter writes characters with C's escapes. After a hexadecimal escape a
// digit is escaped too, or it would read as part of it.
type charPrinter struct {
	b       *strings.Builder
	escaped bool
}

func (p *charPrinter) put(c uint64, width int64, quote byte) {
	esc := p.escaped
	p.escaped = false
	switch c {
	case '\a':
		p.b.WriteString(`\a`)
	case '\b':
		p.b.WriteString(`\b`)
	case '\f':
		p.b.WriteString(`\f`)
	case '\n':
		p.b.WriteString(`\n`)
	case '\r':
		p.b.WriteString(`\r`)
	case '\t':
		p.b.WriteString(`\t`)
	case '\v':
		p.b.WriteString(`\v`)
	default:
		if c >= 0x20 && c < 0x7f && !(esc && c >= '0' && c <= '9') {
			if c == uint64(quote) || c == '\\' {
				p.b.WriteByte('\\')
			}
			p.b.WriteByte(byte(c))
			return
		}
		if c <= 0777 {
			fmt.Fprintf(p.b, `\%03o`, c)
		} else {
			p.escaped = true
			fmt.Fprintf(p.b, `\x%x`, c)
		}
	}
}

// charText returns a character literal, as 'a' or L'\000'.
func charText(t *ctype.Type, c uint64) string {
	var b strings.Builder
	b.WriteString(widePrefix(t))
	b.WriteByte('\'')
	width := min(max(t.Size(), 1), 8)
	if width < 8 {
		c &= 1<<(8*width) - 1
	}
	p := charPrinter{b: &b}
	p.put(c, width, '\'')
	b.WriteByte('\'')
	return b.String()
}

// run is a character and how often it stands in a row.
type run struct {
	c uint64
	n int
}

// stringText writes data as a string literal: runs longer than the threshold
// apart, as gdb does, and at most printMax characters. A single NUL at the end is
// left out unless more is known to follow.
func stringText(t *ctype.Type, data []byte, more bool) string {
	width := min(max(t.Size(), 1), 8)
	n := int64(len(data)) / width
	at := func(i int64) uint64 { return ctype.Extract(data[i*width:(i+1)*width], 0, 0, false) }
	if !more && n > 0 && at(n-1) == 0 {
		n--
	}
	prefix := widePrefix(t)
	if n == 0 {
		return prefix + `""`
	}
	var runs []run
	i, shown := int64(0), 0
	for i < n && shown < printMax {
		r := run{c: at(i), n: 1}
		for i++; i < n && at(i) == r.c; i++ {
			r.n++
		}
		runs = append(runs, r)
		shown += r.n
	}
	var b strings.Builder
	p := charPrinter{b: &b}
	b.WriteString(prefix)
	open := false
	for k, r := range runs {
		if r.n > repeatThreshold {
			if open {
				b.WriteString(`", `)
			} else if k > 0 {
				b.WriteString(", ")
			}
			open = false
			p.escaped = false
			b.WriteByte('\'')
			p.put(r.c, width, '\'')
			fmt.Fprintf(&b, "' <repeats %d times>", r.n)
			p.escaped = false
			continue
		}
		if !open {
			if k > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('"')
			open = true
		}
		for range r.n {
			p.put(r.c, width, '"')
		}
	}
	if open {
		b.WriteByte('"')
	}
	if more || i < n {
		b.WriteString("...")
	}
	return b.String()
}
