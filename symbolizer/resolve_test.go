package symbolizer_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/symdiff"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// build is one way the test programs are compiled.
type build struct{ name, compiler, flags string }

func cBuilds() []build {
	var out []build
	for _, cc := range []string{"gcc", "clang-16", "aarch64-linux-gnu-gcc"} {
		for _, o := range []string{"-O0", "-O2", "-Os"} {
			for _, v := range []string{"4", "5"} {
				out = append(out, build{cc + o + "-dwarf-" + v, cc, o + " -gdwarf-" + v})
			}
		}
	}
	return append(out,
		build{"gcc-O2-dwarf-2", "gcc", "-O2 -gdwarf-2 -gstrict-dwarf"},
		build{"gcc-O2-dwarf-3", "gcc", "-O2 -gdwarf-3"},
		build{"gcc-O2-dwarf64", "gcc", "-O2 -gdwarf-5 -gdwarf64"},
		build{"gcc-O2-sections", "gcc", "-O2 -g -ffunction-sections -Wl,--gc-sections"},
		build{"gcc-O2-lto", "gcc", "-O2 -g -flto"},
		build{"gcc-O2-pie", "gcc", "-O2 -g -fpie -static-pie"},
		build{"clang-16-O2-no-aranges", "clang-16", "-O2 -g -fno-function-sections -gno-column-info"},
		build{"gcc-O2-nofp", "gcc", "-O2 -g -fomit-frame-pointer"},
	)
}

// sources reads testdata/src, to be compiled in a folder of its own.
func sources(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"main.c", "other.c", "sub/util.h", "shapes.cc"} {
		b, err := os.ReadFile(filepath.Join("testdata", "src", name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	return out
}

func (b build) make(t testing.TB, files ...string) string {
	t.Helper()
	args := append([]string{b.compiler}, strings.Fields(b.flags)...)
	args = append(args, "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-o", "out")
	if !strings.Contains(b.flags, "pie") {
		args = append(args, "-static", "-no-pie", "-fno-pie")
	}
	if b.compiler == "clang-16" {
		args = append(args, "-fuse-ld=lld-16")
	}
	return compile(t, sources(t), append(args, files...)...)
}

// symbolizerLine is what llvm-symbolizer or addr2line says of one function.
type symbolizerLine struct {
	function, file string
	line           int
}

// llvm asks llvm-symbolizer-16 for all addrs in one run.
func llvm(t testing.TB, image string, addrs []uint64) [][]symbolizerLine {
	t.Helper()
	var in strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&in, "%#x\n", a)
	}
	return answers(t, in.String(), len(addrs), "llvm-symbolizer-16", "--obj="+image, "--functions=linkage", "--no-demangle", "--inlines", "--output-style=LLVM")
}

func answers(t testing.TB, in string, n int, command ...string) [][]symbolizerLine {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Fatalf("%s is needed by this test (make tools installs it): %v", command[0], err)
	}
	c := exec.Command(command[0], command[1:]...)
	c.Stdin = strings.NewReader(in)
	b, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]symbolizerLine
	for _, block := range strings.Split(strings.TrimSuffix(string(b), "\n\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		var a []symbolizerLine
		for i := 0; i+1 < len(lines); i += 2 {
			var l symbolizerLine
			l.function = lines[i]
			rest, _, _ := cutLast(lines[i+1], ":") // column
			file, num, _ := cutLast(rest, ":")
			fmt.Sscan(num, &l.line)
			l.file = path.Clean(file)
			a = append(a, l)
		}
		out = append(out, a)
	}
	if len(out) != n {
		t.Fatalf("%s gave %d answers to %d addresses", command[0], len(out), n)
	}
	return out
}

func cutLast(s, sep string) (string, string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// ours gives what Resolve says in the same form.
func ours(im *symbolizer.Image, addr uint64) []symbolizerLine {
	locs, err := im.Resolve(addr)
	if err != nil {
		return []symbolizerLine{{"??", "??", 0}}
	}
	var out []symbolizerLine
	for _, l := range locs {
		s := symbolizerLine{l.Linkage, path.Clean(l.File), l.Line}
		if s.function == "" {
			s.function = l.Function
		}
		if s.function == "" {
			s.function = "??"
		}
		if l.File == "" {
			s.file = "??"
		}
		out = append(out, s)
	}
	return out
}

// codeAddrs lists every step-th address of the image's code.
func codeAddrs(im *symbolizer.Image, step uint64) []uint64 {
	var out []uint64
	for _, s := range im.Sections() {
		if s.Code() && s.Type == elf.SHT_PROGBITS {
			for a := s.Addr; a < s.Addr+s.Size; a += step {
				out = append(out, a)
			}
		}
	}
	return out
}

// alias reports whether b names the same code as a: another symbol for it, or a
// label inside it, which llvm-symbolizer takes for a function and gdb, as we,
// for a part of a.
func alias(im *symbolizer.Image, a, b string) bool {
	x, ok1 := im.SymbolByName(a)
	y, ok2 := im.SymbolByName(b)
	inside := y.Size == 0 && y.Addr >= x.Addr && y.Addr < x.Addr+x.Size
	return ok1 && ok2 && (x.Addr == y.Addr && x.Size == y.Size || inside)
}

func compareLLVM(t *testing.T, image string, step uint64) {
	t.Helper()
	im, err := symbolizer.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	addrs := codeAddrs(im, step)
	want := llvm(t, image, addrs)
	lines, err := symdiff.ReadLines(image)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i, a := range addrs {
		got := ours(im, a)
		lines.AsGDB(a, &want[i][0].file, &want[i][0].line)
		// Of aliases (a constructor's C1 and C2 symbol) either name is right.
		if g, w := &got[len(got)-1], want[i][len(want[i])-1]; g.function != w.function && alias(im, g.function, w.function) {
			g.function = w.function
		}
		// Without a line, llvm-symbolizer gives the file of the symbol table or of
		// the declaration, which is not where the code is.
		for k := range min(len(got), len(want[i])) {
			if got[k].line == 0 && want[i][k].line == 0 {
				got[k].file = want[i][k].file
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			if wrong++; wrong <= 5 {
				t.Errorf("%#x:\n got %v\nwant %v", a, got, want[i])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d addresses differ", wrong, len(addrs))
	}
	if len(addrs) < 100 {
		t.Errorf("only %d addresses compared", len(addrs))
	}
}

func TestResolveMatchesLLVM(t *testing.T) {
	for _, b := range cBuilds() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			step := uint64(1)
			if strings.HasPrefix(b.compiler, "aarch64") {
				step = 4
			}
			compareLLVM(t, b.make(t, "main.c", "other.c"), step)
		})
	}
	for _, b := range []build{
		{"g++-O0", "g++", "-O0 -g"}, {"g++-O2", "g++", "-O2 -g"}, {"g++-O2-dwarf-4", "g++", "-O2 -gdwarf-4 -fdebug-types-section"},
		{"clang++-O2", "clang++-16", "-O2 -g -fuse-ld=lld-16"}, {"clang++-O0-dwarf-4", "clang++-16", "-O0 -gdwarf-4 -fuse-ld=lld-16"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			compareLLVM(t, b.make(t, "shapes.cc"), 1)
		})
	}
}
