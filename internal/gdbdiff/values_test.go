package gdbdiff

import (
	"context"
	"debug/dwarf"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg"
)

// globals lists the variables that have a place, as 'FILE'::NAME: a bare name
// may be that of several.
func globals(t *testing.T, path string) []string {
	t.Helper()
	data := openDWARF(t, path)
	var out []string
	r := data.Reader()
	file := ""
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return out
		}
		switch e.Tag {
		case dwarf.TagCompileUnit:
			file, _ = e.Val(dwarf.AttrName).(string)
			continue // into its children
		case dwarf.TagVariable:
			name, named := e.Val(dwarf.AttrName).(string)
			if spec, ok := e.Val(dwarf.AttrSpecification).(dwarf.Offset); ok && !named {
				at := data.Reader()
				at.Seek(spec)
				if decl, err := at.Next(); err == nil && decl != nil {
					name, named = decl.Val(dwarf.AttrName).(string)
				}
			}
			if named && e.Val(dwarf.AttrLocation) != nil {
				out = append(out, "'"+file+"'::"+name)
			}
		}
		r.SkipChildren()
	}
}

// query is a command of both debuggers.
type query struct{ verb, text string }

func (q query) String() string { return q.verb + " " + q.text }

// answer is ukdbg's answer in gdb's words.
func (s *stopped) answer(q query, f *ukdbg.Frame) string {
	ctx := context.Background()
	var text string
	var err error
	switch q.verb {
	case "print", "print/x":
		_, format, _ := strings.Cut(q.verb, "/")
		text, err = s.session.Print(ctx, q.text, format, f)
		text = value(text)
	case "ptype":
		text, err = s.session.Ptype(ctx, q.text, f)
		text = "type = " + text
	case "whatis":
		text, err = s.session.Whatis(ctx, q.text, f)
		text = "type = " + text
	}
	if err != nil {
		return err.Error()
	}
	return text
}

// compareQueries asks both and returns how many answers are equal.
func (s *stopped) compareQueries(t *testing.T, queries []query, f *ukdbg.Frame) int {
	t.Helper()
	commands := make([]string, len(queries))
	for i, q := range queries {
		commands[i] = q.String()
	}
	equal := 0
	for i, text := range s.gdb.run(t, commands...) {
		want, got := value(text), s.answer(queries[i], f)
		if got == want {
			equal++
			continue
		}
		t.Errorf("%s\nukdbg %s\ngdb   %s", queries[i], cut(got), cut(want))
	}
	return equal
}

func cut(s string) string {
	if len(s) > 2000 {
		return s[:2000] + "…"
	}
	return s
}

// compareValues compares every global, nested members, and locals.
func (s *stopped) compareValues(t *testing.T, debug string) {
	t.Helper()
	names := globals(t, debug)
	if len(names) < 50 {
		t.Fatalf("only %d globals", len(names))
	}
	var queries []query
	for _, n := range names {
		for _, verb := range []string{"print", "ptype", "whatis", "print/x"} {
			queries = append(queries, query{verb, n})
		}
		queries = append(queries, query{"print", "&" + n})
	}
	n := s.compareQueries(t, queries, nil)
	t.Logf("%d globals: %d of %d answers equal", len(names), n, len(queries))
}
