package dies

import (
	"debug/dwarf"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const fuzzProgram = `
struct list { struct list *next; int key : 5; char name[]; };
static inline int add(int a, int b) { return a + b; }
static inline int twice(struct list *l) { return add(l->key, add(l->key, 1)); }
__attribute__((cold, noinline)) int rare(int v) { return v * 3; }
int sum(struct list *l, int n)
{
	int s = 0;
	for (; l; l = l->next)
		s += twice(l);
	if (__builtin_expect(n > 7, 0))
		s += rare(n) + add(s, n);
	return s;
}
int tail(int v) { return sum(0, v); }
`

// compiled returns the sections of the program, those of its .dwo file under the
// names without the suffix.
func compiled(f *testing.F, flags string) (main, split map[string][]byte) {
	f.Helper()
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(fuzzProgram), 0o644); err != nil {
		f.Fatal(err)
	}
	args := strings.Fields(flags)
	for _, c := range [][]string{append(args, "-c", "-ffreestanding", "-o", "a.o", "a.c"), {"gcc", "-nostdlib", "-static", "-Wl,-e,sum", "-o", "a", "a.o"}} {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			f.Fatalf("%q (make tools installs it): %v\n%s", c, err, out)
		}
	}
	read := func(name, suffix string) map[string][]byte {
		file, err := elf.Open(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		defer file.Close()
		out := map[string][]byte{}
		for _, s := range file.Sections {
			if b, err := s.Data(); err == nil && strings.HasPrefix(s.Name, ".debug_") {
				out[strings.TrimSuffix(s.Name, suffix)] = b
			}
		}
		return out
	}
	main = read("a", "")
	if strings.Contains(flags, "split") {
		split = read("a.dwo", ".dwo")
	}
	return main, split
}

// FuzzEntries reads damaged entries, abbreviations and tables. Every section but
// entries and abbreviations is the same bytes, as what they hold is only numbers
// and strings; the entries of a supplementary and of a split file are the image's.
func FuzzEntries(f *testing.F) {
	for _, flags := range []string{
		"gcc -O2 -gdwarf-4", "gcc -O2 -gdwarf-5", "gcc -Os -gdwarf-2 -gstrict-dwarf", "clang-16 -O2 -gdwarf-5", "clang-16 -O2 -gdwarf-4 -fdebug-types-section",
		"gcc -O2 -gdwarf-5 -gdwarf64", "gcc -O2 -gdwarf-4 -gsplit-dwarf", "clang-16 -O2 -gdwarf-5 -gsplit-dwarf",
	} {
		for _, s := range []map[string][]byte{first(compiled(f, flags)), second(compiled(f, flags))} {
			if s == nil {
				continue
			}
			for _, table := range []string{".debug_str", ".debug_addr", ".debug_ranges", ".debug_rnglists", ".debug_loc", ".debug_loclists", ".debug_str_offsets", ".debug_aranges"} {
				if b, ok := s[table]; ok {
					f.Add(s[".debug_info"], s[".debug_abbrev"], b, uint8(0))
				}
			}
			f.Add(s[".debug_info"], s[".debug_abbrev"], s[".debug_str"], uint8(7))
			if types := s[".debug_types"]; types != nil {
				f.Add(types, s[".debug_abbrev"], s[".debug_str"], uint8(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, info, abbrev, table []byte, how uint8) {
		if len(info) > 1<<14 || len(abbrev) > 1<<12 || len(table) > 1<<14 {
			return
		}
		get := func() []byte { return table }
		sec := Sections{
			Info: info, Abbrev: abbrev, Str: table, LineStr: table, StrOffsets: table, Addr: table, Ranges: table, Rnglists: table,
			Aranges: table, Loc: get, Loclists: get, BigEndian: how&8 != 0,
		}
		if how&1 != 0 {
			sec.Types = info
		}
		if how&2 != 0 {
			alt := sec
			sec.Alt = &alt
		}
		if how&4 != 0 {
			files := 0
			whole := sec
			sec.Split = func(SplitName) (*Sections, error) {
				if files++; files > 4 {
					return nil, errNoSplit
				}
				part := whole
				return &part, nil
			}
		}
		exerciseEntries(New(sec))
	})
}

func first[T, U any](a T, _ U) T  { return a }
func second[T, U any](_ T, b U) U { return b }

func exerciseEntries(d *Data) {
	for range d.UnitsFor(0x401000) {
	}
	for i, u := range d.FullUnits() {
		if i == 16 {
			break
		}
		u.Ranges()
		t := u.Functions()
		for k := range min(len(t.Funcs), 32) {
			d.NameOf(u, t.Funcs[k].DIE)
			for _, s := range u.CallsOf(t.Funcs[k].DIE).Sites[:min(len(u.CallsOf(t.Funcs[k].DIE).Sites), 8)] {
				d.CalleeAt(u, s.Origin)
			}
		}
		root, err := d.Root(u)
		if err != nil {
			continue
		}
		walk(d, root, 3, new(int))
	}
}

func walk(d *Data, e *Entry, depth int, seen *int) {
	for c := d.Children(e); c.Next() && *seen < 256; {
		*seen++
		child := *c.Entry()
		d.Name(&child)
		d.Ranges(&child)
		for i := range child.Attrs {
			a := &child.Attrs[i]
			if off, ok := d.Ref(a); ok {
				_, _ = d.Entry(off)
			}
			if a.Attr == dwarf.AttrLocation {
				_, _ = d.Locations(child.Unit, a)
			}
		}
		if depth > 0 {
			walk(d, &child, depth-1, seen)
		}
	}
}
