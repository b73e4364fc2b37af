package gdbstub

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A target description is plain XML: elements with attributes, a little text, a
// document type nobody reads. This scanner takes it apart as encoding/xml does,
// in a tenth of the time; the guest is stopped meanwhile.

// xmlKind is a kind of token.
type xmlKind int

const (
	xmlEnd   xmlKind = iota // </name>, also after <name/>
	xmlStart                // <name …>
	xmlText
)

// xmlToken is a start, an end or a text. It is valid until the next.
type xmlToken struct {
	kind  xmlKind
	name  string // without its prefix
	attrs []xmlAttr
	text  string
}

type xmlAttr struct{ name, value string }

// attr returns an attribute's value, "" if it is not there.
func (t *xmlToken) attr(name string) string {
	for _, a := range t.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

var errXML = errors.New("not well-formed XML")

// xmlScanner takes a document apart. It does not check that ends match starts.
type xmlScanner struct {
	rest  string
	tok   xmlToken
	empty bool // tok was <name/>, its end follows
}

// next returns the next token, nil at the document's end.
func (s *xmlScanner) next() (*xmlToken, error) {
	if s.empty {
		s.empty = false
		s.tok.kind, s.tok.attrs = xmlEnd, s.tok.attrs[:0]
		return &s.tok, nil
	}
	for s.rest != "" {
		switch {
		case s.rest[0] != '<':
			end := strings.IndexByte(s.rest, '<')
			if end < 0 {
				end = len(s.rest)
			}
			text, ok := unescape(s.rest[:end])
			s.rest = s.rest[end:]
			if !ok || strings.Contains(text, "]]>") {
				return nil, errXML
			}
			s.tok = xmlToken{kind: xmlText, text: text, attrs: s.tok.attrs[:0]}
			return &s.tok, nil
		case strings.HasPrefix(s.rest, "<![CDATA["):
			text, ok := s.upTo("<![CDATA[", "]]>")
			if !ok {
				return nil, errXML
			}
			s.tok = xmlToken{kind: xmlText, text: text, attrs: s.tok.attrs[:0]}
			return &s.tok, nil
		case strings.HasPrefix(s.rest, "<!--"):
			if text, ok := s.upTo("<!--", "-->"); !ok || strings.Contains(text, "--") {
				return nil, errXML
			}
		case strings.HasPrefix(s.rest, "<?"):
			if _, ok := s.upTo("<?", "?>"); !ok {
				return nil, errXML
			}
		case strings.HasPrefix(s.rest, "<!"):
			if !s.skipDeclaration() {
				return nil, errXML
			}
		default:
			return s.tag()
		}
	}
	return nil, nil
}

// upTo takes what is between begin, which is there, and end.
func (s *xmlScanner) upTo(begin, end string) (string, bool) {
	text, rest, ok := strings.Cut(s.rest[len(begin):], end)
	s.rest = rest
	return text, ok
}

// skipDeclaration takes <!DOCTYPE …> with the declarations in it.
func (s *xmlScanner) skipDeclaration() bool {
	const open, comment = len("<!"), len("<!--")
	if len(s.rest) == open || s.rest[open] < 'A' || s.rest[open] > 'Z' {
		return false // a keyword begins each
	}
	depth := 1
	for i := open; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '<':
			if strings.HasPrefix(s.rest[i:], "<!--") {
				n := strings.Index(s.rest[i+comment:], "-->")
				if n < 0 {
					return false
				}
				i += comment + n + 2
				continue
			}
			depth++
		case '>':
			if depth--; depth == 0 {
				s.rest = s.rest[i+1:]
				return true
			}
		case '"', '\'':
			n := strings.IndexByte(s.rest[i+1:], c)
			if n < 0 {
				return false
			}
			i += n + 1
		}
	}
	return false
}

// tag takes a start or an end.
func (s *xmlScanner) tag() (*xmlToken, error) {
	s.tok = xmlToken{kind: xmlStart, attrs: s.tok.attrs[:0]}
	s.rest = s.rest[1:]
	if strings.HasPrefix(s.rest, "/") {
		s.tok.kind, s.rest = xmlEnd, s.rest[1:]
	}
	var ok bool
	if s.tok.name, ok = s.name(); !ok {
		return nil, errXML
	}
	for {
		s.space()
		switch {
		case strings.HasPrefix(s.rest, ">"):
			s.rest = s.rest[1:]
			return &s.tok, nil
		case s.tok.kind == xmlEnd:
			return nil, errXML
		case strings.HasPrefix(s.rest, "/>"):
			s.rest, s.empty = s.rest[2:], true
			return &s.tok, nil
		}
		a, ok := s.attribute()
		if !ok || len(s.tok.attrs) == maxXMLAttrs {
			return nil, errXML
		}
		s.tok.attrs = append(s.tok.attrs, a)
	}
}

// maxXMLAttrs bounds the attributes of one element.
const maxXMLAttrs = 64

// attribute takes name="value".
func (s *xmlScanner) attribute() (a xmlAttr, ok bool) {
	if a.name, ok = s.name(); !ok {
		return a, false
	}
	s.space()
	if !strings.HasPrefix(s.rest, "=") {
		return a, false
	}
	s.rest = s.rest[1:]
	s.space()
	if s.rest == "" || s.rest[0] != '"' && s.rest[0] != '\'' {
		return a, false
	}
	raw, ok := s.upTo(s.rest[:1], s.rest[:1])
	if !ok || strings.IndexByte(raw, '<') >= 0 {
		return a, false
	}
	a.value, ok = unescape(raw)
	return a, ok
}

// name takes a name and drops its prefix.
func (s *xmlScanner) name() (string, bool) {
	n := strings.IndexAny(s.rest, " \t\r\n=/><\"'&")
	if n <= 0 {
		return "", false
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	prefix, local, ok := strings.Cut(name, ":")
	switch {
	case strings.Contains(local, ":"):
		return "", false
	case ok && prefix != "" && local != "":
		return local, true
	}
	return name, true
}

func (s *xmlScanner) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

// unescape replaces the entities XML knows without a document type.
func unescape(text string) (string, bool) {
	if strings.IndexByte(text, '&') < 0 {
		return text, true
	}
	var b bytes.Buffer
	for {
		before, rest, more := strings.Cut(text, "&")
		b.WriteString(before)
		if !more {
			return b.String(), true
		}
		entity, rest, ok := strings.Cut(rest, ";")
		if !ok {
			return "", false
		}
		r, ok := entityRune(entity)
		if !ok {
			return "", false
		}
		b.WriteRune(r)
		text = rest
	}
}

func entityRune(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && n > 0 && utf8.ValidRune(rune(n))
}
