package expr

import (
	"fmt"
	"strings"
)

// kind is the kind of a token.
type kind uint8

const (
	tokEnd    kind = iota
	tokName        // identifier
	tokDollar      // $name, $1, $
	tokNumber      // text as written
	tokChar        // value in num
	tokString      // contents in text
	tokQuoted      // 'file.c' or 'function'
	tokOp          // operator or punctuation
)

type token struct {
	kind kind
	text string
	num  uint64
	pos  int // in bytes from the start of the expression
}

// SyntaxError says that an expression is no C expression.
type SyntaxError struct {
	Expr string
	Pos  int // in bytes
	What string
}

func (e *SyntaxError) Error() string {
	rest := ""
	if e.Pos < len(e.Expr) {
		rest = e.Expr[e.Pos:]
	}
	return fmt.Sprintf("A syntax error in expression, near `%s': %s", rest, e.What)
}

// maxExpression bounds the length of an expression, in bytes.
const maxExpression = 16 << 10

// operators, longest first.
var operators = []string{
	"<<=", ">>=",
	"->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "::",
	"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
	"+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">", "=", "?", ":", "(", ")", "[", "]", ".", ",", "@",
}

func isIdentStart(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool      { return c >= '0' && c <= '9' }
func isIdent(c byte) bool      { return isIdentStart(c) || isDigit(c) }

// lex cuts an expression into tokens, the last of which is tokEnd.
func lex(s string) ([]token, error) {
	if len(s) > maxExpression {
		return nil, &SyntaxError{"", 0, fmt.Sprintf("longer than %d bytes", maxExpression)}
	}
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		scan := func(f func(byte) bool) string {
			for i < len(s) && f(s[i]) {
				i++
			}
			return s[start:i]
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case isIdentStart(c):
			out = append(out, token{kind: tokName, text: scan(isIdent), pos: start})
		case c == '$':
			i++
			out = append(out, token{kind: tokDollar, text: scan(func(c byte) bool { return isIdent(c) || c == '$' })[1:], pos: start})
		case isDigit(c) || c == '.' && i+1 < len(s) && isDigit(s[i+1]):
			i = numberEnd(s, i)
			out = append(out, token{kind: tokNumber, text: s[start:i], pos: start})
		case c == '"' || c == '\'':
			t, n, err := quoted(s, i)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			i += n
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(s[i:], o) {
					op = o
					break
				}
			}
			if op == "" {
				return nil, &SyntaxError{s, i, fmt.Sprintf("unexpected character %q", c)}
			}
			out = append(out, token{kind: tokOp, text: op, pos: i})
			i += len(op)
		}
	}
	return append(out, token{kind: tokEnd, pos: len(s)}), nil
}

// numberEnd returns the end of the number at i: digits, letters, dots, and a sign
// after the exponent of a decimal one.
func numberEnd(s string, i int) int {
	hex := strings.HasPrefix(s[i:], "0x") || strings.HasPrefix(s[i:], "0X")
	for i < len(s) && (isIdent(s[i]) || s[i] == '.') {
		exp := !hex && (s[i] == 'e' || s[i] == 'E')
		i++
		if exp && i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
	}
	return i
}

// quoted reads a character or string literal, or a quoted name, at i.
func quoted(s string, i int) (token, int, error) {
	quote := s[i]
	var b []byte
	pos := i + 1
	plain := true
	for {
		if pos >= len(s) {
			return token{}, 0, &SyntaxError{s, i, "unmatched quote"}
		}
		c := s[pos]
		if c == quote {
			pos++
			break
		}
		if c == '\\' {
			plain = false
			v, n := escape(s[pos:])
			if n == 0 {
				return token{}, 0, &SyntaxError{s, pos, "a backslash with nothing after it"}
			}
			b = append(b, v)
			pos += n
			continue
		}
		b = append(b, c)
		pos++
	}
	t := token{kind: tokString, text: string(b), pos: i}
	if quote == '\'' {
		switch {
		case len(b) == 1:
			t.kind, t.num = tokChar, uint64(b[0])
		case len(b) > 1 && plain:
			t.kind = tokQuoted
		default:
			return token{}, 0, &SyntaxError{s, i, "an empty character constant"}
		}
	}
	return t, pos - i, nil
}

// escape decodes an escape sequence and tells its length, 0 if it is cut off.
func escape(s string) (byte, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch c := s[1]; {
	case c >= '0' && c <= '7':
		v, n := 0, 1
		for n < 4 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			v = v*8 + int(s[n]-'0')
			n++
		}
		return byte(v), n
	case c == 'x':
		v, n := 0, 2
		for n < 4 && n < len(s) {
			d := strings.IndexByte("0123456789abcdef", s[n]|0x20)
			if d < 0 {
				break
			}
			v = v*16 + d
			n++
		}
		return byte(v), n
	}
	if k := strings.IndexByte("abfnrtve", s[1]); k >= 0 {
		return "\a\b\f\n\r\t\v\x1b"[k], 2
	}
	return s[1], 2
}
