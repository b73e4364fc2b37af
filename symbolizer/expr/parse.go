package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// maxNesting bounds how deep an expression nests.
const maxNesting = 200

type parser struct {
	env  *Env
	src  string
	toks []token
	pos  int
	deep int
}

// parse reads a whole expression, or a type if it is only that.
func (e *Env) parse(src string) (n node, typ *ctype.Type, err error) {
	toks, err := lex(src)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{env: e, src: src, toks: toks}
	if p.startsType() {
		t, err := p.typeName()
		if err == nil && p.peek().kind == tokEnd {
			return nil, t, nil
		}
		if err != nil {
			return nil, nil, err
		}
		p.pos = 0
	}
	if p.peek().kind == tokEnd {
		return nil, nil, p.fail("an expression is wanted")
	}
	n, err = p.expression()
	if err != nil {
		return nil, nil, err
	}
	if p.peek().kind != tokEnd {
		return nil, nil, p.fail("not expected here")
	}
	return n, nil, nil
}

// Check reports a text that is no C expression, whatever its names mean.
func Check(src string) error {
	_, _, err := (*Env)(nil).parse(src)
	return err
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.kind != tokEnd {
		p.pos++
	}
	return t
}

func (p *parser) accept(op string) bool {
	if t := p.peek(); t.kind == tokOp && t.text == op {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(op string) error {
	if !p.accept(op) {
		return p.fail(op + " is wanted")
	}
	return nil
}

func (p *parser) fail(what string) error {
	return &SyntaxError{Expr: p.src, Pos: p.peek().pos, What: what}
}

func (p *parser) enter() error {
	p.deep++
	if p.deep > maxNesting {
		return p.fail("nested too deep")
	}
	return nil
}

func (p *parser) expression() (node, error) {
	x, err := p.assignment()
	for err == nil && p.accept(",") {
		var y node
		if y, err = p.assignment(); err == nil {
			x = comma{x, y}
		}
	}
	return x, err
}

func (p *parser) assignment() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.deep-- }()
	x, err := p.conditional()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	if t.kind != tokOp {
		return x, nil
	}
	switch t.text {
	case "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=":
		p.next()
		y, err := p.assignment()
		return assign{strings.TrimSuffix(t.text, "="), x, y}, err
	}
	return x, nil
}

func (p *parser) conditional() (node, error) {
	c, err := p.binary(0)
	if err != nil || !p.accept("?") {
		return c, err
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.deep-- }()
	y, err := p.conditional()
	return cond{c, x, y}, err
}

// levels are the binary operators, loosest first; gdb puts @ between the shifts
// and the sums.
var levels = [][]string{
	{"||"}, {"&&"}, {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<", ">", "<=", ">="},
	{"<<", ">>"}, {"@"}, {"+", "-"}, {"*", "/", "%"},
}

func (p *parser) binary(level int) (node, error) {
	if level == len(levels) {
		return p.unary()
	}
	x, err := p.binary(level + 1)
	for err == nil {
		op := ""
		for _, o := range levels[level] {
			if p.accept(o) {
				op = o
				break
			}
		}
		if op == "" {
			return x, nil
		}
		var y node
		if y, err = p.binary(level + 1); err != nil {
			break
		}
		switch op {
		case "||", "&&":
			x = logical{op == "&&", x, y}
		default:
			x = binaryOp{op, x, y}
		}
	}
	return x, err
}

func (p *parser) unary() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.deep-- }()
	t := p.peek()
	if t.kind == tokOp {
		switch t.text {
		case "-", "+", "!", "~", "*", "&":
			p.next()
			x, err := p.unary()
			return unary{t.text, x}, err
		case "++", "--":
			p.next()
			x, err := p.unary()
			return assign{t.text[:1], x, p.intLiteral(1)}, err
		case "(":
			p.next()
			if p.startsType() {
				typ, err := p.typeName()
				if err != nil {
					return nil, err
				}
				if err := p.expect(")"); err != nil {
					return nil, err
				}
				x, err := p.unary()
				return cast{typ, x}, err
			}
			p.pos--
		}
	}
	if t.kind == tokName && (t.text == "sizeof" || t.text == "_Alignof") {
		return p.sizeof(t)
	}
	return p.postfix()
}

func (p *parser) sizeof(t token) (node, error) {
	p.next()
	if t.text != "sizeof" {
		return nil, p.fail("only sizeof is known here")
	}
	start := p.pos
	if p.accept("(") && p.startsType() {
		typ, err := p.typeName()
		if err != nil {
			return nil, err
		}
		return sizeofType{typ}, p.expect(")")
	}
	p.pos = start
	x, err := p.unary()
	return sizeofExpr{x}, err
}

func (p *parser) postfix() (node, error) {
	x, err := p.primary()
	for n := 0; err == nil; n++ {
		if n > maxNesting {
			return nil, p.fail("too many steps")
		}
		switch {
		case p.accept("["):
			var i node
			if i, err = p.expression(); err != nil {
				return nil, err
			}
			x, err = index{x, i}, p.expect("]")
		case p.accept("."), p.accept("->"):
			t := p.next()
			if t.kind != tokName {
				p.pos--
				return nil, p.fail("a field's name is wanted")
			}
			x = member{x, t.text}
		case p.accept("("):
			return nil, p.fail("functions of the guest are not called: that would run code in it")
		case p.accept("++"), p.accept("--"):
			return nil, p.fail("only the form before its operand is known")
		default:
			return x, nil
		}
	}
	return x, err
}

func (p *parser) primary() (node, error) {
	t := p.next()
	switch t.kind {
	case tokNumber:
		n, err := p.number(t)
		return n, err
	case tokChar:
		return literal{p.env.charType(), []byte{byte(t.num)}}, nil
	case tokString:
		data := append([]byte(t.text), 0)
		for p.peek().kind == tokString {
			data = append(append(data[:len(data)-1], p.next().text...), 0)
		}
		return literal{ctype.ArrayOf(p.env.charType(), int64(len(data))), data}, nil
	case tokDollar:
		return dollar{t.text}, nil
	case tokName, tokQuoted:
		if p.accept("::") {
			id := p.next()
			if id.kind != tokName {
				p.pos--
				return nil, p.fail("a name is wanted after ::")
			}
			return name{t.text, id.text}, nil
		}
		return name{"", t.text}, nil
	case tokOp:
		if t.text == "(" {
			x, err := p.expression()
			if err != nil {
				return nil, err
			}
			return x, p.expect(")")
		}
	}
	if t.kind != tokEnd {
		p.pos--
	}
	return nil, p.fail("a name, a number or ( is wanted")
}

func (p *parser) intLiteral(v uint64) literal {
	return literal{intType, []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}}
}

// number gives an integer its type by its size, base and suffix (ISO C 6.4.4.1),
// a floating-point constant that of its suffix.
func (p *parser) number(t token) (node, error) {
	bad := func() (node, error) {
		return nil, &SyntaxError{p.src, t.pos, fmt.Sprintf("Invalid number %q.", t.text)}
	}
	text := strings.ToLower(t.text)
	base := 10
	digits := text
	switch {
	case strings.HasPrefix(text, "0x"):
		base, digits = 16, text[2:]
	case strings.HasPrefix(text, "0b"):
		base, digits = 2, text[2:]
	}
	if base == 10 && strings.ContainsAny(text, ".ef") {
		typ, size := doubleType, int64(8)
		if s, ok := strings.CutSuffix(text, "f"); ok {
			text, typ, size = s, floatType, 4
		}
		f, err := strconv.ParseFloat(strings.TrimSuffix(text, "l"), 64)
		if err != nil && !math.IsInf(f, 0) {
			return bad()
		}
		return literal{typ, floatBytes(f, size)}, nil
	}
	suffix := strings.TrimLeft(digits, "0123456789")
	if base == 16 {
		suffix = strings.TrimLeft(digits, "0123456789abcdef")
	}
	digits = digits[:len(digits)-len(suffix)]
	if base == 10 && len(digits) > 1 && digits[0] == '0' {
		base = 8
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return bad()
	}
	var unsigned, long bool
	switch suffix {
	case "":
	case "u":
		unsigned = true
	case "l", "ll":
		long = true
	case "ul", "lu", "ull", "llu":
		unsigned, long = true, true
	default:
		return bad()
	}
	var typ *ctype.Type
	switch {
	case !long && !unsigned && v <= math.MaxInt32:
		typ = intType
	case !long && (unsigned || base != 10) && v <= math.MaxUint32:
		typ = uintType
	case !unsigned && v <= math.MaxInt64:
		typ = longType
	default:
		typ = ulongType
	}
	data := make([]byte, typ.Size())
	for i := range data {
		data[i] = byte(v >> (8 * i))
	}
	return literal{typ, data}, nil
}
