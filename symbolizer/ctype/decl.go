package ctype

import (
	"strconv"
	"strings"
)

// String returns the type's name as C and gdb's whatis write it: "struct foo *",
// "int (*)[4]".
func (t *Type) String() string { return t.Format("", -1) }

// Definition returns the type as gdb's ptype writes it: typedefs at the top are
// replaced, the body of a struct, union or enum is spelled out.
func (t *Type) Definition() string { return t.Format("", 1) }

// Format writes a declaration of name (which may be "") with type t. With show 1
// the top level is spelled out, with 0 only what has no name, with -1 nothing.
func (t *Type) Format(name string, show int) string {
	p := &declPrinter{}
	p.decl(t, name, show, 0)
	return p.b.String()
}

// maxDecl bounds the text of one declaration, in bytes.
const maxDecl = 1 << 20

// quals are the qualifiers of one type.
type quals struct{ konst, volatile, restrict, atomic bool }

// unqualify separates a type from its qualifiers. Those of an array are its
// elements'.
func unqualify(t *Type) (*Type, quals) {
	var q quals
	for range maxDepth {
		switch t.Kind {
		case Const:
			q.konst = true
		case Volatile:
			q.volatile = true
		case Restrict:
			q.restrict = true
		case Atomic:
			q.atomic = true
		default:
			if t.Kind == Array && q != (quals{}) {
				c := &Type{Kind: Array, ts: t.ts, size: t.size, count: t.count, Vector: t.Vector, elem: qualify(t.Elem(), q)}
				return c, quals{}
			}
			return t, q
		}
		t = t.Elem()
	}
	return t, q
}

func qualify(t *Type, q quals) *Type {
	wrap := func(on bool, k Kind) {
		if on {
			t = &Type{Kind: k, ts: t.ts, elem: t}
		}
	}
	wrap(q.atomic, Atomic)
	wrap(q.restrict, Restrict)
	wrap(q.volatile, Volatile)
	wrap(q.konst, Const)
	return t
}

// resolve removes typedefs, keeping all qualifiers on the way.
func resolve(t *Type) *Type {
	for range maxDepth {
		b, q := unqualify(t)
		if b.Kind != Typedef {
			if b.Kind == Struct || b.Kind == Union || b.Kind == Enum {
				return qualify(b.complete(), q)
			}
			return t
		}
		t = qualify(b.Elem(), q)
	}
	return t.Strip()
}

type declPrinter struct {
	b     strings.Builder
	depth int
}

func (p *declPrinter) put(s string) {
	if p.b.Len() < maxDecl {
		p.b.WriteString(s)
	}
}

// enter bounds the depth of nested types.
func (p *declPrinter) enter() bool {
	p.depth++
	return p.depth <= maxDepth
}

func (p *declPrinter) decl(t *Type, name string, show, level int) {
	defer func() { p.depth-- }()
	if !p.enter() {
		p.put("...")
		return
	}
	if show > 0 {
		t = resolve(t)
	}
	p.base(t, show, level)
	b, _ := unqualify(t)
	if name != "" || (show > 0 || !nameable(b)) && (b.Kind == Pointer || b.Kind == Func || b.Kind == Array && !b.Vector || b.Kind == Reference) {
		p.put(" ")
	}
	p.prefix(t, show, false, name != "", 0)
	p.put(name)
	p.suffix(t, show, false, 0)
}

func (p *declPrinter) modifiers(q quals, pre, post bool) {
	did := false
	add := func(on bool, word string) {
		if !on {
			return
		}
		if did || pre {
			p.put(" ")
		}
		p.put(word)
		did = true
	}
	add(q.konst, "const")
	add(q.volatile, "volatile")
	add(q.restrict, "restrict")
	add(q.atomic, "_Atomic")
	if did && post {
		p.put(" ")
	}
}

// base writes what comes before the declarator.
func (p *declPrinter) base(t *Type, show, level int) {
	for range maxDepth {
		b, q := unqualify(t)
		if show <= 0 && nameable(b) {
			p.modifiers(q, false, true)
			if kw := b.keyword(); kw != "" {
				p.put(kw + " ")
			}
			p.put(b.Name)
			return
		}
		if b.Kind == Typedef {
			t = resolve(t)
			b, q = unqualify(t)
		}
		switch b.Kind {
		case Func, Array, Pointer, Reference:
			t = b.Elem()
			continue
		case Struct, Union:
			p.modifiers(q, false, true)
			p.record(b, show, level)
		case Enum:
			p.modifiers(q, false, true)
			p.enum(b, show)
		case Void:
			p.modifiers(q, false, true)
			p.put("void")
		default:
			p.modifiers(q, false, true)
			p.put(b.Name)
		}
		return
	}
	p.put("...")
}

// nameable reports whether a type can be written by a name alone.
func nameable(t *Type) bool {
	switch t.Kind {
	case Pointer, Array, Func, Reference:
		return false
	}
	return t.Name != ""
}

// head prints what comes before the braces of a record or an enumeration, and
// reports whether these are shown.
func (p *declPrinter) head(keyword, name string, show int) (braces bool) {
	p.put(keyword + " ")
	if name != "" {
		p.put(name)
		if show > 0 {
			p.put(" ")
		}
	}
	if show < 0 && name == "" {
		p.put("{...}")
	}
	return show > 0 || show == 0 && name == ""
}

func (p *declPrinter) record(t *Type, show, level int) {
	if !p.head(t.keyword(), t.Name, show) {
		return
	}
	indent := strings.Repeat(" ", level+4)
	p.put("{\n")
	fields := t.Fields()
	if len(fields) == 0 {
		if t.Declaration {
			p.put(indent + "<incomplete type>\n")
		} else {
			p.put(indent + "<no data fields>\n")
		}
	}
	for _, f := range fields {
		if p.b.Len() >= maxDecl {
			break
		}
		p.put(indent)
		p.decl(f.Type, f.Name, show-1, level+4)
		if f.BitSize != 0 {
			p.put(" : " + strconv.FormatInt(f.BitSize, 10))
		}
		p.put(";\n")
	}
	p.put(strings.Repeat(" ", level) + "}")
}

func (p *declPrinter) enum(t *Type, show int) {
	if !p.head("enum", t.Name, show) {
		return
	}
	p.put("{")
	next := int64(0)
	for i, v := range t.Enumerators() {
		if i > 0 {
			p.put(", ")
		}
		p.put(v.Name)
		if v.Value != next {
			p.put(" = " + strconv.FormatInt(v.Value, 10))
			next = v.Value
		}
		next++
	}
	p.put("}")
}

// prefix writes the part of the declarator before the name, from the outside in.
func (p *declPrinter) prefix(t *Type, show int, viaPointer, postSpace bool, depth int) {
	b, q := unqualify(t)
	if depth > maxDepth || show <= 0 && nameable(b) {
		return
	}
	switch b.Kind {
	case Pointer:
		p.prefix(b.Elem(), show, true, true, depth+1)
		p.put("*")
		p.modifiers(q, true, postSpace)
	case Reference:
		p.prefix(b.Elem(), show, true, false, depth+1)
		p.put("&")
	case Func:
		p.prefix(b.Elem(), show, false, false, depth+1)
		if viaPointer {
			p.put("(")
		}
	case Array:
		p.prefix(b.Elem(), show, false, postSpace, depth+1)
		if viaPointer {
			p.put("(")
		}
	case Typedef:
		p.prefix(resolve(t), show, viaPointer, false, depth+1)
	}
}

// suffix writes the part after the name, from the inside out.
func (p *declPrinter) suffix(t *Type, show int, viaPointer bool, depth int) {
	b, _ := unqualify(t)
	if depth > maxDepth || show <= 0 && nameable(b) {
		return
	}
	switch b.Kind {
	case Pointer, Reference:
		p.suffix(b.Elem(), show, true, depth+1)
	case Func:
		if viaPointer {
			p.put(")")
		}
		p.params(b)
		p.suffix(b.Elem(), show, false, depth+1)
	case Array:
		if viaPointer {
			p.put(")")
		}
		n := ""
		if b.Count() >= 0 {
			n = strconv.FormatInt(b.Count(), 10)
		}
		if b.Vector {
			p.put(" __attribute__ ((vector_size(" + n + ")))")
		} else {
			p.put("[" + n + "]")
		}
		p.suffix(b.Elem(), show, false, depth+1)
	case Typedef:
		p.suffix(resolve(t), show, viaPointer, depth+1)
	}
}

func (p *declPrinter) params(t *Type) {
	p.put("(")
	params := t.Params()
	for i, a := range params {
		if i > 0 {
			p.put(", ")
		}
		p.decl(a.Type, "", 0, 0)
	}
	switch {
	case len(params) > 0 && t.Variadic:
		p.put(", ...")
	case len(params) == 0 && t.Prototyped:
		p.put("void")
	}
	p.put(")")
}
