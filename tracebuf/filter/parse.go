package filter

import (
	"fmt"
	"regexp"
	"strings"
)

// maxDepth bounds the nesting of an expression.
const maxDepth = 64

// Filter is a parsed expression. It serves several goroutines.
type Filter struct {
	text string
	root node
}

// String is the expression as it was written.
func (f *Filter) String() string { return f.text }

// Parse reads an expression. An empty one matches everything.
func Parse(expr string) (*Filter, error) {
	f := &Filter{text: expr}
	if strings.TrimSpace(expr) == "" {
		return f, nil
	}
	tokens, err := lex(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{expr: expr, tokens: tokens}
	if f.root, err = p.or(0); err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tEnd {
		return nil, p.fail(t, "%q is too much", p.show(t))
	}
	return f, nil
}

type parser struct {
	expr   string
	tokens []token
	pos    int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tEnd {
		p.pos++
	}
	return t
}

func (p *parser) accept(op string) bool {
	if t := p.peek(); t.kind == tOp && t.text == op {
		p.pos++
		return true
	}
	return false
}

func (p *parser) fail(t token, format string, a ...any) error {
	return &SyntaxError{p.expr, t.at, fmt.Sprintf(format, a...)}
}

func (p *parser) show(t token) string {
	if t.kind == tEnd {
		return "the end"
	}
	return t.text
}

func (p *parser) or(depth int) (node, error) {
	if depth > maxDepth {
		return nil, p.fail(p.peek(), "nested more than %d deep", maxDepth)
	}
	left, err := p.and(depth)
	for err == nil && p.accept("||") {
		var right node
		if right, err = p.and(depth); err == nil {
			left = orNode{left, right}
		}
	}
	return left, err
}

func (p *parser) and(depth int) (node, error) {
	left, err := p.not(depth)
	for err == nil && p.accept("&&") {
		var right node
		if right, err = p.not(depth); err == nil {
			left = andNode{left, right}
		}
	}
	return left, err
}

func (p *parser) not(depth int) (node, error) {
	negative := false
	for p.accept("!") {
		negative = !negative
	}
	var n node
	var err error
	if p.accept("(") {
		if n, err = p.or(depth + 1); err != nil {
			return nil, err
		}
		if t := p.peek(); !p.accept(")") {
			return nil, p.fail(t, "want a closing parenthesis, got %q", p.show(t))
		}
	} else if n, err = p.compare(); err != nil {
		return nil, err
	}
	if negative {
		return notNode{n}, nil
	}
	return n, nil
}

// compare reads a word alone, or a word, an operator and a value.
func (p *parser) compare() (node, error) {
	t := p.next()
	if t.kind != tWord {
		return nil, p.fail(t, "want the name of an argument, got %q", p.show(t))
	}
	if t.text == "true" || t.text == "false" {
		return constNode(t.text == "true"), nil
	}
	word := newWord(t.text)
	op := p.peek()
	if op.kind != tOp {
		return truthNode{word}, nil
	}
	switch op.text {
	case "==", "=", "!=", "<", "<=", ">", ">=", "~", "=~", "!~":
		p.pos++
	default:
		return truthNode{word}, nil
	}
	return p.value(word, strings.TrimPrefix(op.text, "="), op)
}

func (p *parser) value(w word, op string, at token) (node, error) {
	if at.text == "==" || at.text == "=" {
		op = "=="
	}
	matches := op == "~" || op == "!~"
	negative := p.accept("-")
	v := p.next()
	switch {
	case v.kind == tNumber && !matches:
		if negative {
			v.num, v.neg = -v.num, true
		}
		return intNode{w, op, v.num, v.neg}, nil
	case negative:
		return nil, p.fail(v, "want a number after -, got %q", p.show(v))
	case v.kind == tWord && (v.text == "true" || v.text == "false") && (op == "==" || op == "!="):
		var n node = truthNode{w}
		if (v.text == "true") != (op == "==") {
			n = notNode{n}
		}
		return n, nil
	case v.kind != tText && (v.kind != tWord && v.kind != tNumber || !matches):
		return nil, p.fail(v, "want a number or a text in quotes, got %q", p.show(v))
	}
	pattern := v.text
	switch op {
	case "==", "!=":
		pattern = Glob(v.text)
	case "~", "!~":
	default:
		return nil, p.fail(at, "%s compares numbers; texts take ==, != and ~", op)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, p.fail(v, "%v", err)
	}
	var n node = textNode{w, re}
	if op[0] == '!' {
		n = notNode{n}
	}
	return n, nil
}

// Glob makes a regular expression of a pattern with * and ?, for the whole text.
func Glob(pattern string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, r := range pattern {
		switch r {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return b.String() + `\z`
}
