package expr

import (
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// Types of the language itself, for what expressions compute.
var (
	intType    = ctype.Basic(ctype.Int, "int", 4, true)
	uintType   = ctype.Basic(ctype.Int, "unsigned int", 4, false)
	longType   = ctype.Basic(ctype.Int, "long", 8, true)
	ulongType  = ctype.Basic(ctype.Int, "unsigned long", 8, false)
	floatType  = ctype.Basic(ctype.Float, "float", 4, true)
	doubleType = ctype.Basic(ctype.Float, "double", 8, true)
	voidType   = ctype.Basic(ctype.Void, "void", 1, false)
)

// charType is char, whose sign is the architecture's.
func (e *Env) charType() *ctype.Type {
	signed := e == nil || e.Arch == nil || e.Arch.Name != "arm64"
	return ctype.Basic(ctype.Char, "char", 1, signed)
}

var typeWords = map[string]bool{
	"struct": true, "union": true, "enum": true, "class": true,
	"void": true, "char": true, "short": true, "int": true, "long": true, "float": true, "double": true,
	"signed": true, "unsigned": true, "_Bool": true, "__int128": true,
	"const": true, "volatile": true,
}

// startsType reports whether a type name comes next: a word of C's, or a typedef
// that no variable hides.
func (p *parser) startsType() bool {
	t := p.peek()
	if t.kind != tokName {
		return false
	}
	if typeWords[t.text] {
		return true
	}
	if n := p.toks[p.pos+1]; n.kind == tokOp && n.text == "::" {
		return false
	}
	if p.env == nil {
		return p.looksLikeCast()
	}
	if p.env.isVariable(t.text) {
		return false
	}
	_, err := p.env.typeNamed(t.text)
	return err == nil
}

// looksLikeCast guesses, where names mean nothing, whether an identifier is a
// type: in parentheses, with nothing but stars after it, before an operand.
func (p *parser) looksLikeCast() bool {
	if p.pos == 0 || p.toks[p.pos-1].text != "(" {
		return false
	}
	i := p.pos + 1
	for p.toks[i].kind == tokOp && p.toks[i].text == "*" {
		i++
	}
	if p.toks[i].kind != tokOp || p.toks[i].text != ")" {
		return false
	}
	switch p.toks[i+1].kind {
	case tokEnd:
		return false
	case tokOp:
		return p.toks[i+1].text == "("
	}
	return true
}

// typeName reads a type name: specifiers and an abstract declarator.
func (p *parser) typeName() (*ctype.Type, error) {
	var words []string
	konst, volatile := false, false
loop:
	for p.peek().kind == tokName {
		w := p.peek().text
		switch {
		case w == "const":
			konst = true
		case w == "volatile":
			volatile = true
		case w == "struct" || w == "union" || w == "enum" || w == "class":
			if len(words) > 0 {
				return nil, p.fail("two types in a row")
			}
			p.next()
			if p.peek().kind != tokName {
				return nil, p.fail("a tag is wanted after " + w)
			}
			words = append(words, w, p.peek().text)
		case typeWords[w]:
			words = append(words, w)
		case len(words) == 0:
			words = append(words, w)
		default:
			break loop
		}
		p.next()
		if len(words) > 8 {
			return nil, p.fail("no type of C has so many words")
		}
	}
	if len(words) == 0 {
		return nil, p.fail("a type is wanted")
	}
	t, err := p.env.namedType(strings.Join(words, " "))
	if err != nil {
		return nil, err
	}
	if konst || volatile {
		t = ctype.Qualified(t, konst, volatile)
	}
	return p.declarator(t)
}

// typeNamed looks a type up in the images; one that is only declared is the last
// choice.
func (e *Env) typeNamed(words string) (t *ctype.Type, err error) {
	for i, r := range e.readers() {
		found, why := r.Types().Lookup(words)
		if why == nil && !found.Declaration {
			return found, nil
		}
		if i == 0 || err != nil && why == nil {
			t, err = found, why
		}
	}
	return t, err
}

// namedType looks a type up; gdb's words are used where there is none.
func (e *Env) namedType(words string) (*ctype.Type, error) {
	if e == nil {
		return voidType, nil // only the form is checked
	}
	t, err := e.typeNamed(words)
	if err != nil || t.Declaration {
		kind, tag, _ := strings.Cut(words, " ")
		switch kind {
		case "struct", "union", "enum":
			return nil, errorf("No %s type named %s.", kind, tag)
		}
		return nil, errorf("No symbol \"%s\" in current context.", words)
	}
	return t, nil
}

// declarator reads an abstract declarator: stars, then ( declarator ), then
// arrays or parameters.
func (p *parser) declarator(t *ctype.Type) (*ctype.Type, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.deep-- }()
	for p.accept("*") {
		t = ctype.PointerTo(t)
		for p.peek().kind == tokName {
			switch p.peek().text {
			case "const":
				t = ctype.Qualified(t, true, false)
			case "volatile":
				t = ctype.Qualified(t, false, true)
			default:
				return t, nil
			}
			p.next()
		}
	}
	inner := -1
	if n := p.toks[min(p.pos+1, len(p.toks)-1)]; p.peek().text == "(" && p.peek().kind == tokOp && n.kind == tokOp && n.text == "*" {
		// What is inside applies to the outcome of what follows it.
		inner = p.pos
		depth := 0
		for {
			tok := p.next()
			if tok.kind == tokEnd {
				return nil, p.fail(") is wanted")
			}
			if tok.kind == tokOp && tok.text == "(" {
				depth++
			}
			if tok.kind == tokOp && tok.text == ")" {
				if depth--; depth == 0 {
					break
				}
			}
		}
	}
	t, err := p.typeSuffix(t)
	if err != nil || inner < 0 {
		return t, err
	}
	end := p.pos
	p.pos = inner + 1
	if t, err = p.declarator(t); err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	p.pos = end
	return t, nil
}

func (p *parser) typeSuffix(t *ctype.Type) (*ctype.Type, error) {
	var dims []int64
	for p.accept("[") {
		n := int64(ctype.NoCount)
		if tok := p.peek(); tok.kind == tokNumber {
			v, err := strconv.ParseUint(tok.text, 0, 31)
			if err != nil {
				return nil, p.fail("no number of elements")
			}
			n = int64(v)
			p.next()
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
		dims = append(dims, n)
	}
	for i := len(dims) - 1; i >= 0; i-- {
		t = ctype.ArrayOf(t, dims[i])
	}
	if len(dims) > 0 || p.peek().kind != tokOp || p.peek().text != "(" {
		return t, nil
	}
	p.next()
	var params []*ctype.Type
	variadic := false
	for !p.accept(")") {
		if len(params) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		a, err := p.typeName()
		if err != nil {
			return nil, err
		}
		params = append(params, a)
	}
	if len(params) == 1 && params[0].Kind == ctype.Void {
		params = nil
		return ctype.FuncOf(t, params, variadic, true), nil
	}
	return ctype.FuncOf(t, params, variadic, len(params) > 0), nil
}
