package filter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxLength bounds an expression, in bytes.
const MaxLength = 4096

// SyntaxError says what is wrong with an expression and where.
type SyntaxError struct {
	Expr   string
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("filter %q: at %d: %s", e.Expr, e.Offset+1, e.Reason)
}

type kind uint8

const (
	tEnd kind = iota
	tWord
	tNumber
	tText
	tOp
)

type token struct {
	kind kind
	at   int
	text string // of a word, a text or an operator
	num  int64
	neg  bool // a number below zero; otherwise num is its bits
}

// operators, longer ones first.
var operators = [...]string{"&&", "||", "==", "!=", "<=", ">=", "!~", "=~", "<", ">", "~", "!", "(", ")", "=", "-"}

func lex(expr string) ([]token, error) {
	fail := func(at int, format string, a ...any) ([]token, error) {
		return nil, &SyntaxError{expr, at, fmt.Sprintf(format, a...)}
	}
	if len(expr) > MaxLength {
		return nil, &SyntaxError{expr[:40] + "…", MaxLength, fmt.Sprintf("more than %d bytes", MaxLength)}
	}
	var out []token
scan:
	for i := 0; i < len(expr); {
		c := expr[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n':
			i++
			continue
		case c == '"' || c == '\'' || c == '`':
			text, n, reason := quoted(expr[i:])
			if reason != "" {
				return fail(i, "%s", reason)
			}
			out = append(out, token{kind: tText, at: i, text: text})
			i += n
			continue
		case c >= '0' && c <= '9':
			n := 1
			for i+n < len(expr) && (isWord(expr[i+n]) || expr[i+n] == '.' || strings.HasPrefix(expr[i+n:], "µ") || expr[i+n] == 0xb5) {
				n++
			}
			v, ok := number(expr[i : i+n])
			if !ok {
				return fail(i, "%q is no number", expr[i:i+n])
			}
			out = append(out, token{kind: tNumber, at: i, num: v, text: expr[i : i+n]})
			i += n
			continue
		case isWord(c):
			n := 1
			for i+n < len(expr) && (isWord(expr[i+n]) || expr[i+n] == '.') {
				n++
			}
			out = append(out, token{kind: tWord, at: i, text: expr[i : i+n]})
			i += n
			continue
		}
		for _, op := range operators {
			if strings.HasPrefix(expr[i:], op) {
				out = append(out, token{kind: tOp, at: i, text: op})
				i += len(op)
				continue scan
			}
		}
		return fail(i, "%q means nothing here", expr[i])
	}
	return append(out, token{kind: tEnd, at: len(expr)}), nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted reads a text at the start of s: a backslash takes the next character
// as it is, in a regular expression too; in backquotes nothing is special.
func quoted(s string) (text string, n int, reason string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), i + 1, ""
		case c == '\\' && s[0] != '`' && i+1 < len(s):
			i++
			if s[i] != s[0] && s[i] != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, "a text that does not end"
}

// number reads an integer or a duration, in nanoseconds.
func number(s string) (int64, bool) {
	if v, err := strconv.ParseUint(s, 0, 64); err == nil && !strings.HasSuffix(s, "_") {
		return int64(v), true
	}
	for i, unit := range []string{"K", "M", "G"} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			v, err := strconv.ParseUint(digits, 10, 32)
			return int64(v << (10 * (i + 1))), err == nil
		}
	}
	d, err := time.ParseDuration(s)
	return int64(d), err == nil
}
