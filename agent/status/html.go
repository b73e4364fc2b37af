package status

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// markup writes HTML. What is given as html is this package's own; everything
// else is escaped.
type markup struct{ b bytes.Buffer }

// html is text that is markup already. Only constants are to be turned into it.
type html string

func (m *markup) raw(s html) { m.b.WriteString(string(s)) }

// text writes s as text: markup's characters escaped, control characters and
// those that change the direction of what follows shown as U+FFFD.
func (m *markup) text(s string) {
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '&':
			m.b.WriteString("&amp;")
		case r == '<':
			m.b.WriteString("&lt;")
		case r == '>':
			m.b.WriteString("&gt;")
		case r == '"':
			m.b.WriteString("&#34;")
		case r == '\'':
			m.b.WriteString("&#39;")
		case r == '\n' || r == '\t':
			m.b.WriteByte(' ')
		case unicode.Is(unicode.C, r):
			m.b.WriteRune('\uFFFD')
		default:
			m.b.WriteRune(r)
		}
	}
}

// put writes parts: html as it is, the rest as text.
func (m *markup) put(parts ...any) {
	for _, p := range parts {
		switch p := p.(type) {
		case html:
			m.raw(p)
		case string:
			m.text(p)
		default:
			m.text(fmt.Sprint(p))
		}
	}
}

// bar draws a share between 0 and 1.
func (m *markup) bar(share float64, class html) {
	share = min(1, max(0, share))
	m.put(html(`<svg class="bar`), class, html(`" role="img" aria-label="`), fmt.Sprintf("%.0f %%", 100*share), html(`"><rect height="100%" width="`),
		fmt.Sprintf("%.1f%%", 100*share), html(`"/></svg>`))
}

// row writes a term and what is said of it, nothing if that is nothing.
func (m *markup) row(term html, value string) {
	if value != "" {
		m.put(html("<dt>"), term, html("</dt><dd>"), value, html("</dd>"))
	}
}
