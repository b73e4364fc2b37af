package ctype

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// namedSections builds two units with clang-16 and links them: a .debug_names each,
// or but one if the other is built without.
func namedSections(t testing.TB, second ...string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	link := []string{"clang-16", "-nostdlib", "-static", "-Wl,-e,0", "-o", filepath.Join(dir, "image")}
	for i, source := range []string{"layout.c", "other.c"} {
		object := filepath.Join(dir, source+".o")
		args := []string{"-c", "-O1", "-gdwarf-5", "-gpubnames", "-ffreestanding", "-o", object, filepath.Join("testdata", source)}
		if i == 1 {
			args = append(args, second...)
		}
		if text, err := exec.Command("clang-16", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v (make tools installs it)\n%s", err, text)
		}
		link = append(link, object)
	}
	if text, err := exec.Command(link[0], link[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	f, err := elf.Open(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]byte{}
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		if out[s.Name], err = s.Data(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// typesOf are the types of an image with a section in place of its .debug_names.
func typesOf(sections map[string][]byte, debugNames []byte) (*Types, *listed) {
	section := func(name string) []byte { return sections[name] }
	ts := &Types{d: dies.New(dies.SectionsOf(section)), section: section, cache: map[uint64]*Type{}, void: voidType()}
	l, _ := ts.listedIndex(debugNames, sections[".debug_str"]).(*listed)
	return ts, l
}

// definitions are the entries an index has of a name, mere declarations only where
// there is nothing else.
func definitions(ix index, name string, c class) []uint64 {
	var defs, decls []uint64
	ix.each(name, c, func(n *named) bool {
		if n.decl {
			decls = append(decls, n.off)
		} else {
			defs = append(defs, n.off)
		}
		return true
	})
	if len(defs) == 0 {
		return decls
	}
	return defs
}

// everyName calls f for each name and class of an index, and for some it has not.
func everyName(ix *scanned, f func(name string, c class)) (n int) {
	asked := map[string]bool{}
	for c := classStruct; c <= classFunc; c++ {
		f("no such name", c)
		f("größe", c)
		for i := range ix.tops {
			for j := range ix.tops[i].entries {
				name := ix.tops[i].entries[j].name()
				if key := fmt.Sprint(c, name); !asked[key] {
					asked[key] = true
					f(name, c)
				}
			}
		}
	}
	return len(asked)
}

// TestListedIndex: with .debug_names every name gives what reading all units gives,
// and most are found without.
func TestListedIndex(t *testing.T) {
	for what, flags := range map[string][]string{"all units": nil, "one without": {"-gno-pubnames"}} {
		t.Run(what, func(t *testing.T) {
			sections := namedSections(t, flags...)
			ts, _ := typesOf(sections, nil)
			made, err := ts.scan()
			if err != nil {
				t.Fatal(err)
			}
			found, defined := 0, 0
			n := everyName(made, func(name string, c class) {
				want := definitions(made, name, c)
				_, l := typesOf(sections, sections[".debug_names"])
				if l == nil {
					t.Fatal("the section is not used")
				}
				if got := definitions(l, name, c); !slices.Equal(got, want) {
					t.Errorf("%s, class %d: entries %x, want %x", name, c, got, want)
				}
				if len(want) > 0 {
					defined++
					if l.whole == nil {
						found++
					}
				}
			})
			if n < 100 || found < defined*3/4 {
				t.Errorf("%d names and classes, %d of %d found without reading all units", n, found, defined)
			}
			t.Logf("%d names and classes asked, %d of %d found without reading all units", n, found, defined)
		})
	}
}

// TestListedIndexLies: an index that tells the wrong units, or that was damaged, is
// not believed.
func TestListedIndexLies(t *testing.T) {
	sections := namedSections(t)
	ts, _ := typesOf(sections, nil)
	made, err := ts.scan()
	if err != nil {
		t.Fatal(err)
	}
	good := sections[".debug_names"]
	lies := map[string][]byte{}
	// The two indexes' units the other way round, each then telling of names that the
	// other unit defines.
	units, _ := ts.d.Units()
	if len(units) != 2 {
		t.Fatalf("%d units", len(units))
	}
	swapped := bytes.Clone(good)
	const lengthSize, headerSize, augmentation = 4, 36, 8
	first := headerSize + augmentation
	second := lengthSize + int(binary.LittleEndian.Uint32(good)) + first
	for at, u := range map[int]*dies.Unit{first: units[1], second: units[0]} {
		if got := binary.LittleEndian.Uint32(good[at:]); got == uint32(u.Offset) {
			t.Fatalf("the index's unit is not where it was expected: %#x", got)
		}
		binary.LittleEndian.PutUint32(swapped[at:], uint32(u.Offset))
	}
	lies["swapped"] = swapped
	lies["cut"] = good[:len(good)-len(good)/3]
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		b := bytes.Clone(good)
		for range 1 + i {
			// Behind the lists of units: there the lie is about names.
			b[first+4+noise.IntN(len(b)-first-4)] ^= byte(1 + noise.IntN(255))
		}
		lies[fmt.Sprint("noise ", i)] = b
	}
	for what, lie := range lies {
		_, l := typesOf(sections, lie)
		if l == nil {
			continue // told to be damaged, and not used
		}
		everyName(made, func(name string, c class) {
			want, got := definitions(made, name, c), definitions(l, name, c)
			// It may keep silent about one of several definitions, but not give one
			// that is none.
			for _, off := range got {
				if !slices.Contains(want, off) {
					t.Errorf("%s: %s, class %d: entry %#x, want of %x", what, name, c, off, want)
				}
			}
			if len(want) > 0 && len(got) == 0 {
				t.Errorf("%s: %s, class %d: nothing, want %x", what, name, c, want)
			}
		})
	}
	if _, l := typesOf(sections, lies["cut"]); l != nil {
		t.Error("half an index is used")
	}
}
