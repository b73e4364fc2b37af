package symbolizer_test

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
)

var breakLine = regexp.MustCompile(`^Breakpoint \d+ at (0x[0-9a-f]+)(?:: (.*))?$`)

// TestBreaksMatchGDB sets a breakpoint on every function and on many lines and
// compares the addresses with gdb's.
func TestBreaksMatchGDB(t *testing.T) {
	for _, b := range []build{
		{"gcc-O0", "gcc", "-O0 -g"}, {"gcc-O2", "gcc", "-O2 -g"}, {"gcc-Os-dwarf4", "gcc", "-Os -gdwarf-4"},
		{"clang-O0", "clang-16", "-O0 -g"}, {"clang-O2", "clang-16", "-O2 -g"},
		{"arm64-O0", "aarch64-linux-gnu-gcc", "-O0 -g"}, {"arm64-O2", "aarch64-linux-gnu-gcc", "-O2 -g"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			image := b.make(t, "main.c", "other.c")
			im, err := symbolizer.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"gdb-multiarch", "-nx", "-batch", "-ex", "set width 0"}
			where := im.Functions("")
			for _, w := range where {
				args = append(args, "-ex", "break "+w)
			}
			out := run(t, "", append(args, image)...)
			var got []uint64
			for _, l := range strings.Split(out, "\n") {
				if m := breakLine.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
					a, _ := strconv.ParseUint(m[1][2:], 16, 64)
					got = append(got, a)
				}
			}
			if len(got) != len(where) || len(where) < 7 {
				t.Fatalf("gdb set %d breakpoints on %d functions:\n%s", len(got), len(where), out)
			}
			for i, w := range where {
				places, err := im.FunctionBreak(w, false)
				if err != nil {
					t.Errorf("%s: %v", w, err)
					continue
				}
				// Of a static function in two units gdb prints the first place.
				if len(places) > 2 || places[0].Addr != got[i] {
					t.Errorf("break %s: %+v, gdb says %#x", w, places, got[i])
				}
			}
		})
	}
}

func TestFunctionBreakNames(t *testing.T) {
	im, err := symbolizer.Open(build{"", "g++", "-O0 -g"}.make(t, "shapes.cc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"geo::Square::sides() const", "geo::Square::sides", "Square::sides", "sides", "hidden", "run", "run(int)"} {
		if p, err := im.FunctionBreak(name, false); err != nil || len(p) != 1 {
			t.Errorf("break %s: %v %v", name, p, err)
		}
	}
	if _, err := im.FunctionBreak("no_such", false); !errors.Is(err, symbolizer.ErrNoFunction) {
		t.Errorf("unknown function: %v", err)
	}
	opt, err := symbolizer.Open(build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opt.FunctionBreak("twice", false); !errors.Is(err, symbolizer.ErrNoFunction) {
		t.Errorf("a function that is only inlined: %v", err)
	}
	p, err := opt.FunctionBreak("twice", true)
	if err != nil || len(p) == 0 || !p[0].Inline || p[0].Function != "twice" {
		t.Errorf("inlined copies: %+v %v", p, err)
	}
}

func TestLineAddrs(t *testing.T) {
	im, err := symbolizer.Open(build{"", "gcc", "-O0 -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := im.LineAddrs("nothere.c", 3); !errors.Is(err, symbolizer.ErrNoFile) {
		t.Errorf("unknown file: %v", err)
	}
	if _, _, err := im.LineAddrs("main.c", 5000); !errors.Is(err, symbolizer.ErrNoLine) {
		t.Errorf("line past the end: %v", err)
	}
	for _, tc := range []struct {
		file string
		line int
		got  int
		n    int
		in   string
	}{
		{"main.c", 36, 36, 1, "depth"},
		{"src/main.c", 36, 0, 0, ""}, // compiled in a folder of another name
		{"./main.c", 33, 33, 1, "depth"},
		{"main.c", 32, 33, 1, "depth"},
		{"sub/util.h", 4, 4, 2, "add"}, // both units have a copy
		{"util.h", 9, 9, 2, "clamp"},
	} {
		places, got, err := im.LineAddrs(tc.file, tc.line)
		if tc.n == 0 {
			if err == nil {
				t.Errorf("%s:%d: %v", tc.file, tc.line, places)
			}
			continue
		}
		if err != nil || got != tc.got || len(places) != tc.n {
			t.Errorf("%s:%d: %+v %d %v", tc.file, tc.line, places, got, err)
			continue
		}
		for _, p := range places {
			if p.Function != tc.in || path.Base(p.File) != path.Base(tc.file) {
				t.Errorf("%s:%d: %+v", tc.file, tc.line, p)
			}
		}
	}
	// Line 33 of main.c opens depth(): the place is past the prologue.
	sym, _ := im.SymbolByName("depth")
	if places, _, _ := im.LineAddrs("main.c", 33); len(places) == 1 && places[0].Addr <= sym.Addr {
		t.Errorf("the place on a function's first line is its entry: %+v", places)
	}
	files := fmt.Sprint(im.SourceFiles())
	for _, f := range []string{"/main.c", "/other.c", "/sub/util.h"} {
		if !strings.Contains(files, f) {
			t.Errorf("source files %s lack %s", files, f)
		}
	}
}

// TestLine checks that the rows of every address of a function tile it.
func TestLine(t *testing.T) {
	for _, o := range []string{"-O0 -g", "-O2 -g"} {
		im, err := symbolizer.Open(build{"", "gcc", o}.make(t, "main.c", "other.c"))
		if err != nil {
			t.Fatal(err)
		}
		sym, _ := im.SymbolByName("serve")
		ranges := 0
		for a := sym.Addr; a < sym.Addr+sym.Size; {
			r, ok := im.Line(a)
			if !ok || r.Start != a || r.End <= a {
				t.Fatalf("%s: %#x: %+v %v", o, a, r, ok)
			}
			for b := r.Start; b < r.End; b++ {
				again, _ := im.Line(b)
				if again.Column = r.Column; again != r { // a line is one row, whatever its columns
					t.Errorf("%s: row of %#x is %+v, of %#x %+v", o, a, r, b, again)
				}
			}
			a = r.End
			ranges++
		}
		if ranges < 5 {
			t.Errorf("%s: only %d ranges", o, ranges)
		}
		rows := im.LineRows(sym.Addr, sym.Addr+sym.Size)
		if len(rows) != ranges || rows[0].Start != sym.Addr {
			t.Errorf("%s: %d rows in %d ranges", o, len(rows), ranges)
		}
	}
}

func TestNoSymbolReasons(t *testing.T) {
	im, err := symbolizer.Open(build{"", "gcc", "-O2"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := im.SymbolByName("counters")
	for _, tc := range []struct {
		addr uint64
		want symbolizer.Reason
	}{{1, symbolizer.NotInImage}, {^uint64(0), symbolizer.NotInImage}, {data.Addr, symbolizer.NotCode}} {
		_, err := im.Resolve(tc.addr)
		var none *symbolizer.NoSymbol
		if !errors.As(err, &none) || none.Reason != tc.want {
			t.Errorf("%#x: %v", tc.addr, err)
		}
	}
	fn, _ := im.SymbolByName("serve")
	locs, err := im.Resolve(fn.Addr)
	if err != nil || len(locs) != 1 || !locs[0].FromSymbol || locs[0].NoLine == "" || locs[0].Function != "serve" {
		t.Errorf("without DWARF: %+v %v", locs, err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"_ZN3geo6SquareC2Ei":                               "geo::Square::Square(int)",
		"_RNvCs1234_7mycrate3foo":                          "mycrate::foo",
		"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE": "core::fmt::Write::write_fmt",
		"plain": "plain", "_Z": "_Z",
	} {
		if got := symbolizer.Demangle(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"geo::f(int) const": "geo::f", "(anonymous namespace)::f(int)": "(anonymous namespace)::f",
		"S::operator()(int)": "S::operator()", "T<void (int)>::g(int)": "T<void (int)>::g", "main": "main",
	} {
		if got := symbolizer.ShortName(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
