package ctype

import (
	"slices"
	"strings"
)

// Lookup finds a type at file scope by its C name: "struct uk_thread", "union
// u", "enum e", a typedef or a basic type ("size_t", "unsigned long"), with any
// number of * behind it, and const or volatile before it, which are dropped.
// Where several units define a name, the first definition in the image is meant.
func (ts *Types) Lookup(name string) (*Type, error) {
	ix, err := ts.index()
	if err != nil {
		return nil, err
	}
	words := strings.Fields(strings.ReplaceAll(name, "*", " * "))
	stars := 0
	for len(words) > 0 && words[len(words)-1] == "*" {
		words = words[:len(words)-1]
		stars++
	}
	for len(words) > 0 && (words[0] == "const" || words[0] == "volatile") {
		words = words[1:]
	}
	var t *Type
	switch {
	case len(words) == 2 && words[0] == "struct":
		t = ts.byClass(ix, words[1], classStruct)
	case len(words) == 2 && words[0] == "class":
		t = ts.byClass(ix, words[1], classStruct)
	case len(words) == 2 && words[0] == "union":
		t = ts.byClass(ix, words[1], classUnion)
	case len(words) == 2 && words[0] == "enum":
		t = ts.byClass(ix, words[1], classEnum)
	case len(words) == 1 && words[0] == "void":
		t = ts.void
	default:
		plain := strings.Join(words, " ")
		if t = ts.byClass(ix, plain, classPlain); t == nil {
			t = basicByName(words)
			if t != nil {
				// The image's own entry is preferred under its own name.
				if own := ts.byClass(ix, t.Name, classPlain); own != nil {
					t = own
				}
			}
		}
	}
	if t == nil {
		return nil, &NotFoundError{What: "type", Name: name, Why: ts.whyNoType(ix, words)}
	}
	for range stars {
		t = PointerTo(t)
	}
	return t, nil
}

func (ts *Types) byClass(ix index, name string, c class) *Type {
	var found *Type
	ix.each(name, c, func(n *named) bool {
		if found == nil || !n.decl {
			found = ts.at(n.off)
		}
		return n.decl
	})
	return found
}

// whyNoType helps with the commonest slip: struct forgotten.
func (ts *Types) whyNoType(ix index, words []string) string {
	if len(words) != 1 {
		return ""
	}
	for c, kw := range []string{classStruct: "struct", classUnion: "union", classEnum: "enum"} {
		if ts.byClass(ix, words[0], class(c)) != nil {
			return "there is " + kw + " " + words[0]
		}
	}
	return ""
}

// basicByName gives the type that any order of C's words names, with the name
// gcc writes into the image.
func basicByName(words []string) *Type {
	var long, short, unsigned, signed int
	base := ""
	for _, w := range words {
		switch w {
		case "long":
			long++
		case "short":
			short++
		case "unsigned":
			unsigned++
		case "signed":
			signed++
		case "int", "char", "float", "double", "_Bool", "__int128":
			if base != "" {
				return nil
			}
			base = w
		default:
			return nil
		}
	}
	if len(words) == 0 || signed > 1 || unsigned > 1 || signed+unsigned > 1 || long > 2 || short > 1 || long*short > 0 {
		return nil
	}
	pick := func(s, u string, size int64) *Type {
		if unsigned == 1 {
			return Basic(Int, u, size, false)
		}
		return Basic(Int, s, size, true)
	}
	if !slices.Contains([]string{"", "int"}, base) && (short > 0 || long > 0 && (base != "double" || long > 1)) {
		return nil
	}
	switch base {
	case "char":
		if unsigned == 1 {
			return Basic(Char, "unsigned char", 1, false)
		}
		if signed == 1 {
			return Basic(Char, "signed char", 1, true)
		}
		return Basic(Char, "char", 1, true)
	case "_Bool":
		return Basic(Bool, "_Bool", 1, false)
	case "float":
		return Basic(Float, "float", 4, true)
	case "double":
		if long == 1 {
			return Basic(Float, "long double", 16, true)
		}
		return Basic(Float, "double", 8, true)
	case "__int128":
		return pick("__int128", "__int128 unsigned", 16)
	}
	switch {
	case short == 1:
		return pick("short", "unsigned short", 2)
	case long == 1:
		return pick("long", "unsigned long", 8)
	case long == 2:
		return pick("long long", "unsigned long long", 8)
	}
	return pick("int", "unsigned int", 4)
}
