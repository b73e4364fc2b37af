package line_test

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/line"
)

const program = `
#include "inc/h.h"
int f(int x)
{
	for (int i = 0; i < x; i++)
		x += h(i);
	return x;
}
int g(int x) { return x > 3 ? f(x) : h(x); }
`

func object(t testing.TB, compiler, flags string) *elf.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "inc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a.c": program, "inc/h.h": "static inline int h(int v)\n{\n\treturn v * 3;\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := append(strings.Fields(flags), "-nostdlib", "-shared", "-fPIC", "-o", "out", "a.c")
	c := exec.Command(compiler, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s is needed by this test (make tools installs it): %v\n%s", compiler, err, out)
	}
	f, err := elf.Open(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func sections(t testing.TB, f *elf.File) line.Sections {
	t.Helper()
	get := func(name string) []byte {
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
	return line.Sections{Line: get(".debug_line"), LineStr: get(".debug_line_str"), Str: get(".debug_str")}
}

// TestRowsMatchStd compares every row with debug/dwarf's.
func TestRowsMatchStd(t *testing.T) {
	for _, tc := range []struct{ compiler, flags string }{
		{"gcc", "-O2 -gdwarf-2 -gstrict-dwarf"}, {"gcc", "-O2 -gdwarf-3"}, {"gcc", "-O2 -gdwarf-4"}, {"gcc", "-O0 -gdwarf-5"},
		{"gcc", "-O2 -gdwarf-5 -gdwarf64"}, {"clang-16", "-O2 -gdwarf-4 -fuse-ld=lld-16"}, {"clang-16", "-O2 -gdwarf-5 -fuse-ld=lld-16"},
		{"aarch64-linux-gnu-gcc", "-O2 -g"}, {"gcc", "-O2 -g -ffunction-sections"},
	} {
		t.Run(tc.compiler+tc.flags, func(t *testing.T) {
			f := object(t, tc.compiler, tc.flags)
			d, err := f.DWARF()
			if err != nil {
				t.Fatal(err)
			}
			e, err := d.Reader().Next()
			if err != nil {
				t.Fatal(err)
			}
			name, _ := e.Val(dwarf.AttrName).(string)
			dir, _ := e.Val(dwarf.AttrCompDir).(string)
			h, err := line.ParseHeader(sections(t, f), uint64(e.Val(dwarf.AttrStmtList).(int64)), dir, name)
			if err != nil {
				t.Fatal(err)
			}
			table, err := h.Rows()
			if err != nil {
				t.Fatal(err)
			}
			// Ours are by sequence in the order of the program, as std's are.
			lr, err := d.LineReader(e)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; ; n++ {
				var want dwarf.LineEntry
				if err := lr.Next(&want); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if n >= len(table.Rows) {
					t.Fatalf("only %d rows", n)
				}
				got := table.Rows[n]
				end := got.Flags&line.EndSequence != 0
				if got.Addr != want.Address || end != want.EndSequence {
					t.Fatalf("row %d: %+v, std says %+v", n, got, want)
				}
				if end {
					continue
				}
				file := h.Path(got.File)
				if int(got.Line) != want.Line || int(got.Column) != want.Column || got.Flags&line.IsStmt != 0 != want.IsStmt ||
					got.Flags&line.PrologueEnd != 0 != want.PrologueEnd || path.Clean(file) != path.Join(dir, strings.TrimPrefix(want.File.Name, dir)) {
					t.Errorf("row %d: %+v %s, std says %+v %s", n, got, file, want, want.File.Name)
				}
			}
			if n != len(table.Rows) || n < 10 {
				t.Errorf("%d rows, std has %d", len(table.Rows), n)
			}
		})
	}
}

func TestFind(t *testing.T) {
	f := object(t, "gcc", "-O2 -g -ffunction-sections")
	h, err := line.ParseHeader(sections(t, f), 0, "/d", "a.c")
	if err != nil {
		t.Fatal(err)
	}
	table, err := h.Rows()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range table.Sequences {
		for a := s.Start; a < s.End; a++ {
			i, ok := table.Find(a)
			if !ok {
				t.Fatalf("%#x: no row", a)
			}
			if first, end := table.Span(i); table.Rows[first].Addr > a || end <= a || table.Rows[i].Addr > a {
				t.Fatalf("%#x: row %d, from row %d to %#x", a, i, first, end)
			}
		}
	}
	for _, a := range []uint64{0, table.Sequences[0].Start - 1, table.Sequences[len(table.Sequences)-1].End, ^uint64(0)} {
		if i, ok := table.Find(a); ok {
			t.Errorf("%#x is in row %d", a, i)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, tc := range [][3]string{
		{"/b", "a.c", "/b/a.c"}, {"/b/", "./a.c", "/b/a.c"}, {"/b", "/x/a.c", "/x/a.c"}, {"", "a.c", "a.c"}, {"/b", ".//s/../a.c", "/b/s/../a.c"}, {"/b", ".", "/b"},
	} {
		if got := line.Join(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%q + %q = %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

func TestCutOff(t *testing.T) {
	sec := sections(t, object(t, "gcc", "-O2 -g"))
	for n := range sec.Line {
		cut := sec
		cut.Line = sec.Line[:n]
		if _, err := line.ParseHeader(cut, 0, "/d", "a.c"); err == nil {
			t.Fatalf("%d of %d bytes were taken", n, len(sec.Line))
		}
	}
}

// TestEndlessTable has a version 5 directory table of 2^63 entries without
// content.
func TestEndlessTable(t *testing.T) {
	body := []byte{5, 0, 8, 0, 60, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0}
	body = append(body, bytes.Repeat([]byte{0xff}, 9)...)
	body = append(body, make([]byte, 100)...)
	data := append([]byte{byte(len(body)), 0, 0, 0}, body...)
	if _, err := line.ParseHeader(line.Sections{Line: data}, 0, "", ""); err == nil {
		t.Error("taken")
	}
}

func FuzzProgram(f *testing.F) {
	for _, flags := range []string{"-O2 -gdwarf-2", "-O2 -gdwarf-4", "-O2 -gdwarf-5", "-O0 -gdwarf-5 -gdwarf64"} {
		sec := sections(f, object(f, "gcc", flags))
		f.Add(sec.Line, sec.LineStr)
	}
	f.Fuzz(func(t *testing.T, data, strs []byte) {
		if len(data) > 1<<16 || len(strs) > 1<<12 {
			return
		}
		h, err := line.ParseHeader(line.Sections{Line: data, LineStr: strs}, 0, "/d", "a.c")
		if err != nil {
			return
		}
		for i := range min(len(h.Files), 64) {
			h.Path(uint32(i))
		}
		table, _ := h.Rows()
		for _, s := range table.Sequences[:min(len(table.Sequences), 64)] {
			for _, a := range []uint64{s.Start, s.End - 1, s.End} {
				table.Find(a)
			}
		}
	})
}
