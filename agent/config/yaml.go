package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on a file.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 16
	maxKey   = 256 // bytes
)

type kind int

const (
	scalar kind = iota
	mapping
	list
	null // nothing after a key
)

// node is a value of the file.
type node struct {
	kind kind
	line int // from 1
	text string
	// quoted: the scalar is text whatever it looks like.
	quoted bool
	keys   []*node // of a mapping, in order
	items  []*node // values of a mapping, or a list's
}

// Error is a mistake in a file.
type Error struct {
	Line int // from 1, 0 for the whole
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

func bad(line int, format string, args ...any) *Error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

// line is one that says something.
type line struct {
	number, indent int
	text           string
}

// parser goes through the lines.
type parser struct {
	lines []line
	at    int
}

// parse reads a file.
func parse(data []byte) (*node, error) {
	if len(data) > maxFile {
		return nil, bad(0, "the file is larger than %d bytes", maxFile)
	}
	if !utf8.Valid(data) {
		return nil, bad(0, "the file is not UTF-8")
	}
	p := &parser{}
	for i, text := range strings.Split(string(data), "\n") {
		l, err := cut(i+1, strings.TrimSuffix(text, "\r"))
		if err != nil {
			return nil, err
		}
		if l.text != "" {
			p.lines = append(p.lines, l)
		}
	}
	if len(p.lines) > 0 && p.lines[0].text == "---" {
		p.at++
	}
	if p.at == len(p.lines) {
		return &node{kind: null, line: 1}, nil
	}
	n, err := p.block(p.lines[p.at].indent, 0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.lines) {
		return nil, bad(p.lines[p.at].number, "this is indented like nothing before it")
	}
	return n, nil
}

// cut takes comment and indentation off a line.
func cut(number int, text string) (line, error) {
	body := strings.TrimLeft(text, " ")
	indent := len(text) - len(body)
	for _, c := range body {
		if c == '\t' || c >= ' ' && c != 0x7f && c != 0xfeff && !(c >= 0x80 && c < 0xa0) && c != 0x2028 && c != 0x2029 {
			continue
		}
		return line{}, bad(number, "character %U has no place here", c)
	}
	if strings.HasPrefix(body, "\t") {
		return line{}, bad(number, "indent with spaces, not with tabs")
	}
	quote := byte(0)
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quote == '"' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && opensQuote(body[:i]):
			quote = c
		case c == '#' && (i == 0 || body[i-1] == ' ' || body[i-1] == '\t'):
			body = body[:i]
		}
	}
	return line{number, indent, strings.TrimRight(body, " \t")}, nil
}

// opensQuote reports whether a quote after before opens a quoted scalar: only where
// a value may begin.
func opensQuote(before string) bool {
	t := strings.TrimRight(before, " \t")
	return t == "" || strings.ContainsRune(",[{", rune(t[len(t)-1])) ||
		len(t) < len(before) && (t[len(t)-1] == ':' || t[len(t)-1] == '-' && strings.Trim(t, "- \t") == "")
}

// block reads what stands at one indentation.
func (p *parser) block(indent, depth int) (*node, error) {
	l := p.lines[p.at]
	if depth > maxDepth {
		return nil, bad(l.number, "nested more than %d deep", maxDepth)
	}
	if isItem(l.text) {
		return p.list(indent, depth)
	}
	if _, _, ok := splitKey(l.text); ok {
		return p.mapping(indent, depth)
	}
	p.at++
	return flow(l.number, l.text)
}

func isItem(s string) bool { return s == "-" || strings.HasPrefix(s, "- ") }

func (p *parser) list(indent, depth int) (*node, error) {
	n := &node{kind: list, line: p.lines[p.at].number}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent && isItem(p.lines[p.at].text) {
		l := &p.lines[p.at]
		rest := strings.TrimLeft(l.text[1:], " ")
		if rest == "" {
			p.at++
			item, err := p.under(indent, depth, false, l.number)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
			continue
		}
		// What follows the dash is a block of its own, indented to where it stands.
		inner := indent + len(l.text) - len(rest)
		l.indent, l.text = inner, rest
		item, err := p.block(inner, depth+1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	return n, p.aligned(indent)
}

func (p *parser) mapping(indent, depth int) (*node, error) {
	n := &node{kind: mapping, line: p.lines[p.at].number}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent {
		l := p.lines[p.at]
		key, rest, ok := splitKey(l.text)
		if !ok || isItem(l.text) {
			return nil, bad(l.number, "want \"key: value\", this is %q", short(l.text))
		}
		k, err := flow(l.number, key)
		if err != nil {
			return nil, err
		}
		if k.kind != scalar || len(key) > maxKey {
			return nil, bad(l.number, "%q is no key", short(key))
		}
		p.at++
		var v *node
		if rest == "" {
			v, err = p.under(indent, depth, true, l.number)
		} else {
			v, err = flow(l.number, rest)
		}
		if err != nil {
			return nil, err
		}
		n.keys, n.items = append(n.keys, k), append(n.items, v)
	}
	return n, p.aligned(indent)
}

// under reads what is indented below a line, if anything is. A list may stand at
// the indentation of its key.
func (p *parser) under(indent, depth int, key bool, number int) (*node, error) {
	if p.at == len(p.lines) {
		return &node{kind: null, line: number}, nil
	}
	l := p.lines[p.at]
	if l.indent > indent || key && l.indent == indent && isItem(l.text) {
		return p.block(l.indent, depth+1)
	}
	return &node{kind: null, line: number}, nil
}

// aligned checks that what follows a block belongs to one around it.
func (p *parser) aligned(indent int) error {
	if p.at < len(p.lines) && p.lines[p.at].indent > indent {
		return bad(p.lines[p.at].number, "this is indented more than what it stands in")
	}
	return nil
}

// splitKey cuts "key: value" at the colon.
func splitKey(s string) (key, value string, ok bool) {
	i := 0
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		end := quoteEnd(s)
		if end < 0 {
			return "", "", false
		}
		i = end + 1
		if i < len(s) && s[i] != ':' && s[i] != ' ' {
			return "", "", false
		}
	} else if s != "" && (s[0] == '[' || s[0] == '{') {
		return "", "", false
	}
	for ; i < len(s); i++ {
		if s[i] == ':' && (i+1 == len(s) || s[i+1] == ' ' || s[i+1] == '\t') {
			return strings.TrimRight(s[:i], " \t"), strings.Trim(s[i+1:], " \t"), true
		}
	}
	return "", "", false
}

// quoteEnd is where the quote that s begins with ends, -1 if it does not.
func quoteEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[0] == '\'' && s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == s[0]:
			return i
		}
	}
	return -1
}

// flow reads a value on one line.
func flow(number int, s string) (*node, error) {
	n, rest, err := flowValue(number, s, "", 0)
	if err != nil {
		return nil, err
	}
	if rest != "" {
		return nil, bad(number, "%q after the value", short(rest))
	}
	return n, nil
}

// flowValue reads a value up to one of the characters in ends.
func flowValue(number int, s, ends string, depth int) (n *node, rest string, err error) {
	if depth > maxDepth {
		return nil, "", bad(number, "nested more than %d deep", maxDepth)
	}
	s = strings.TrimLeft(s, " \t")
	if s == "" {
		return &node{kind: null, line: number}, "", nil
	}
	switch s[0] {
	case '[':
		return flowItems(number, s, ']', depth)
	case '{':
		return flowItems(number, s, '}', depth)
	case '"', '\'':
		end := quoteEnd(s)
		if end < 0 {
			return nil, "", bad(number, "the quote is not closed on its line")
		}
		text, err := unquote(number, s[:end+1])
		if err != nil {
			return nil, "", err
		}
		return &node{kind: scalar, line: number, text: text, quoted: true}, strings.TrimLeft(s[end+1:], " \t"), nil
	case '&', '*', '!', '|', '>', '%', '@', '`', ']', '}', ',':
		return nil, "", bad(number, "a value beginning with %q is not read here: put it in quotes", s[:1])
	case '?', '-', ':':
		if len(s) == 1 || s[1] == ' ' || ends != "" && strings.ContainsRune(",[]{}", rune(s[1])) {
			return nil, "", bad(number, "%q is no value: put it in quotes", short(s))
		}
	}
	end := len(s)
	if ends != "" {
		if i := strings.IndexAny(s, ",[]{}"); i >= 0 {
			end = i
		}
		for i := 0; i < end; i++ {
			if s[i] == ':' && (i+1 == end || s[i+1] == ' ') {
				end = i
			}
		}
	}
	text := strings.TrimRight(s[:end], " \t")
	if ends == "" && (strings.Contains(text, ": ") || strings.HasSuffix(text, ":")) {
		return nil, "", bad(number, "a value with \": \" in it wants quotes")
	}
	if text == "---" || text == "..." || strings.HasPrefix(text, "--- ") || strings.HasPrefix(text, "... ") {
		return nil, "", bad(number, "a file is one document: %q is not read here", short(text))
	}
	if c := notPlain(text); c != "" {
		return nil, "", bad(number, "a value with %q in it wants quotes", c)
	}
	if text == "~" || text == "null" || text == "Null" || text == "NULL" {
		return &node{kind: null, line: number}, s[end:], nil
	}
	return &node{kind: scalar, line: number, text: text}, s[end:], nil
}

// notPlain returns what a scalar without quotes may not have here, though YAML might
// allow it in places.
func notPlain(text string) string {
	for i, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0xa0 && c != 0xfeff:
		case strings.ContainsRune("_./~$+()", c), i > 0 && strings.ContainsRune(" -:@%=*?", c):
		case c == '-' && len(text) > 1 && text[1] != ' ':
		default:
			return string(c)
		}
	}
	return ""
}

// flowItems reads "[a, b]" or "{a: b}".
func flowItems(number int, s string, closing byte, depth int) (*node, string, error) {
	n := &node{kind: list, line: number}
	if closing == '}' {
		n.kind = mapping
	}
	s = strings.TrimLeft(s[1:], " \t")
	for {
		if s == "" {
			return nil, "", bad(number, "%q is missing: lists and mappings in brackets stand on one line", string(closing))
		}
		if s[0] == closing {
			return n, strings.TrimLeft(s[1:], " \t"), nil
		}
		item, rest, err := flowValue(number, s, ",", depth+1)
		if err != nil {
			return nil, "", err
		}
		rest = strings.TrimLeft(rest, " \t")
		if closing == '}' {
			if item.kind != scalar || len(item.text) > maxKey || !strings.HasPrefix(rest, ":") || len(rest) > 1 && rest[1] != ' ' {
				return nil, "", bad(number, "want \"key: value\" in the brackets")
			}
			n.keys = append(n.keys, item)
			if item, rest, err = flowValue(number, rest[1:], ",", depth+1); err != nil {
				return nil, "", err
			}
			rest = strings.TrimLeft(rest, " \t")
		}
		n.items = append(n.items, item)
		switch {
		case strings.HasPrefix(rest, ","):
			s = strings.TrimLeft(rest[1:], " \t")
		case rest != "" && rest[0] == closing:
			s = rest
		default:
			return nil, "", bad(number, "want \",\" or %q before %q", string(closing), short(rest))
		}
	}
}

// unquote reads a quoted scalar.
func unquote(number int, s string) (string, error) {
	body := s[1 : len(s)-1]
	if s[0] == '\'' {
		return strings.ReplaceAll(body, "''", "'"), nil
	}
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			b.WriteByte(body[i])
			continue
		}
		i++
		if i == len(body) {
			return "", bad(number, "the quote is not closed on its line")
		}
		digits := 0
		switch c := body[i]; c {
		case '"', '\\', '/', ' ':
			b.WriteByte(c)
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '0':
			b.WriteByte(0)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		default:
			return "", bad(number, "\\%c is not read here", c)
		}
		if digits > 0 {
			if i+digits >= len(body) {
				return "", bad(number, "\\%c wants %d digits", body[i], digits)
			}
			v, err := strconv.ParseUint(body[i+1:i+1+digits], 16, 32)
			if err != nil || v >= 0xd800 && v < 0xe000 {
				return "", bad(number, "\\%s is no character", body[i:i+1+digits])
			}
			b.WriteRune(rune(v))
			i += digits
		}
	}
	return b.String(), nil
}

// short is a text that fits an error.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
