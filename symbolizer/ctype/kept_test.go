package ctype

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"

	"debug/elf"
)

// sectionsOf builds the test's program and gives its sections.
func sectionsOf(t testing.TB) func(name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	args := []string{"-g", "-O2", "-ffreestanding", "-nostdlib", "-static", "-o", out, "testdata/layout.c", "testdata/other.c"}
	if text, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func(name string) []byte {
		s := f.Section(name)
		if s == nil {
			return nil
		}
		b, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// TestKeptIndex compares the index read from disk with the one made of the image.
func TestKeptIndex(t *testing.T) {
	d := dies.New(dies.SectionsOf(sectionsOf(t)))
	ts := &Types{d: d, section: noSection, cache: map[uint64]*Type{}, void: voidType()}
	made, err := ts.scan()
	if err != nil {
		t.Fatal(err)
	}
	k, ok := parseKept(ts, made.encode())
	if !ok {
		t.Fatal("what was written cannot be read")
	}
	if k.n < 20 || !slices.Equal(k.enumTypes(), made.enumTypes()) {
		t.Errorf("%d entries, enums %v, want %v", k.n, k.enumTypes(), made.enumTypes())
	}
	type answer struct {
		off            uint64
		class          class
		decl, external bool
	}
	ask := func(ix index, name string) []answer {
		var out []answer
		for c := classStruct; c <= classFunc; c++ {
			ix.each(name, c, func(n *named) bool {
				if n.name() != name || n.class != c {
					t.Errorf("asked for %q, got %q of class %d", name, n.name(), n.class)
				}
				out = append(out, answer{n.off, n.class, n.decl, n.external})
				return true
			})
		}
		return out
	}
	names := map[string]bool{"no such name": true}
	repeated := 0
	for i := range made.tops {
		for j := range made.tops[i].entries {
			names[made.tops[i].entries[j].name()] = true
		}
	}
	for name := range names {
		var want []answer
		for _, a := range ask(made, name) {
			if (a.decl || a.class < classVar) && slices.ContainsFunc(want, func(b answer) bool {
				return b.class == a.class && b.decl == a.decl && b.external == a.external
			}) {
				repeated++ // says nothing new
				continue
			}
			want = append(want, a)
		}
		if got := ask(k, name); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if repeated == 0 {
		t.Error("the program repeats nothing: the test shows too little")
	}
	var a, b []uint64
	made.variables(func(n *named) { a = append(a, n.off) })
	k.variables(func(n *named) { b = append(b, n.off) })
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Errorf("variables at %x, want %x", b, a)
	}
}

// FuzzKept asks an index that may hold anything.
func FuzzKept(f *testing.F) {
	d := dies.New(dies.SectionsOf(sectionsOf(f)))
	ts := &Types{d: d, section: noSection, cache: map[uint64]*Type{}, void: voidType()}
	made, err := ts.scan()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made.encode(), "node")
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0}, "x")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if len(b) > 1<<16 {
			return
		}
		k, ok := parseKept(ts, b)
		if !ok {
			return
		}
		k.each(name, classVar, func(n *named) bool { return true })
		k.variables(func(n *named) { ts.variable(n) })
		for _, off := range k.enumTypes() {
			ts.at(off).Enumerators()
		}
	})
}

// noSection is an image without further sections.
func noSection(string) []byte { return nil }
