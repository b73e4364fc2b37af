package symbolizer_test

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/symbolizer"
)

// diffFrame is one function at an address, as llvm-symbolizer prints it.
type diffFrame struct {
	function, file string
	line, column   int
}

// explained are the differences from llvm-symbolizer that are known, and who is
// right. Each judges two frames at the same place of two stacks that are equally
// deep; last is the function that really is there.
var explained = []struct {
	name, who string
	is        func(im *symbolizer.Image, last bool, got, want diffFrame) bool
}{
	{
		"a label inside a function",
		"we, as gdb and addr2line: a symbol of type STT_NOTYPE and size 0 says nothing of where code belongs, the function's STT_FUNC and st_size do",
		func(im *symbolizer.Image, last bool, got, want diffFrame) bool {
			s, ok := im.SymbolByName(want.function)
			f, ok2 := im.SymbolByName(got.function)
			return last && got.place() == want.place() && ok && ok2 && s.Size == 0 && s.Addr >= f.Addr && s.Addr-f.Addr < f.Size
		},
	}, {
		"another name of the same code",
		"both: the symbol table has several symbols at the address with the same size, and nothing ranks them (System V ABI, Symbol Table)",
		func(im *symbolizer.Image, last bool, got, want diffFrame) bool {
			return last && got.place() == want.place() && alias(im, got.function, want.function)
		},
	}, {
		"a label of another section",
		"we: st_shndx says that the symbol, the end of the section before, is not of this code (System V ABI, Symbol Table)",
		func(im *symbolizer.Image, last bool, got, want diffFrame) bool {
			s, ok := im.SymbolByName(want.function)
			here, _ := im.Symbol(s.Addr)
			return last && got.place() == want.place() && got.function == "??" && ok && s.Size == 0 && here.Name != s.Name
		},
	}, {
		"the file of a symbol without a line",
		"we: STT_FILE names the source of an object, not of this code, and with DWARF at hand its silence is an answer (DWARF 5, 6.2: no row, no line)",
		func(_ *symbolizer.Image, last bool, got, want diffFrame) bool {
			got.file, want.file = "", ""
			return last && want.line == 0 && got == want
		},
	}, {
		"./ in a path",
		"both: the same file, of which we drop the part that says nothing (DWARF 5, 6.2.4: a path relative to the compilation directory)",
		func(_ *symbolizer.Image, _ bool, got, want diffFrame) bool {
			got.file, want.file = path.Clean(got.file), path.Clean(want.file)
			return got == want
		},
	},
}

// place is a frame without its function.
func (f diffFrame) place() diffFrame {
	f.function = ""
	return f
}

// explain gives the index of what explains a frame that differs, -1 for nothing.
func explain(im *symbolizer.Image, last bool, got, want diffFrame) int {
	for k, e := range explained {
		if e.is(im, last, got, want) {
			return k
		}
	}
	return -1
}

// differential compares n random addresses of the code of an image with
// llvm-symbolizer: function, file, line, column, and the whole stack of inlined
// calls.
func differential(t *testing.T, image string, n int) {
	t.Helper()
	im, err := symbolizer.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	addrs := randomCode(im, n)
	got := make([][]diffFrame, n)
	var mu sync.Mutex
	calls := 0
	im.ResolveEach(addrs, symbolizer.ResolveOptions{LastRow: true}, func(_, i int, locs []symbolizer.Location, err error) {
		got[i] = diffFrames(locs, err)
		mu.Lock()
		calls++
		mu.Unlock()
	})
	if calls != n {
		t.Errorf("%d answers to %d addresses", calls, n)
	}
	want := llvmFrames(t, image, addrs)
	counts := make([]int, len(explained))
	equal, wrong, nested := 0, 0, 0
	for i, a := range addrs {
		nested = max(nested, len(want[i]))
		if slices.Equal(got[i], want[i]) {
			equal++
			continue
		}
		ok := len(got[i]) == len(want[i])
		for k := 0; ok && k < len(got[i]); k++ {
			if got[i][k] == want[i][k] {
				continue
			}
			why := explain(im, k == len(got[i])-1, got[i][k], want[i][k])
			if ok = why >= 0; ok {
				counts[why]++
			}
		}
		if !ok {
			if wrong++; wrong <= 5 {
				t.Errorf("%#x:\n got %v\nwant %v", a, got[i], want[i])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d addresses differ, and nothing explains it", wrong, n)
	}
	t.Logf("%d of %d equal, at most %d functions at one address", equal, n, nested)
	for k, c := range counts {
		if c > 0 {
			t.Logf("%d × %s: right is %s", c, explained[k].name, explained[k].who)
		}
	}
	if equal < n*8/10 || nested < 2 {
		t.Errorf("%d of %d equal, %d functions at one address at most: the test shows too little", equal, n, nested)
	}
}

// randomCode picks n addresses of the code at random, the same ones each time.
func randomCode(im *symbolizer.Image, n int) []uint64 {
	var code []symbolizer.Section
	total := uint64(0)
	for _, s := range im.Sections() {
		if s.Code() && s.Type == elf.SHT_PROGBITS {
			code = append(code, s)
			total += s.Size
		}
	}
	r := rand.New(rand.NewPCG(4, 20000))
	out := make([]uint64, n)
	for i := range out {
		at := r.Uint64N(total)
		for _, s := range code {
			if at < s.Size {
				out[i] = s.Addr + at
				break
			}
			at -= s.Size
		}
	}
	return out
}

func diffFrames(locs []symbolizer.Location, err error) []diffFrame {
	if err != nil {
		return []diffFrame{{"??", "??", 0, 0}}
	}
	var out []diffFrame
	for i, l := range locs {
		f := diffFrame{l.Function, l.File, l.Line, l.Column}
		if l.Linkage != "" && (i == len(locs)-1 || strings.HasPrefix(l.Linkage, "_")) {
			f.function = l.Linkage
		}
		if f.function == "" {
			f.function = "??"
		}
		if f.file == "" {
			f.file = "??"
		}
		out = append(out, f)
	}
	return out
}

// llvmFrames asks llvm-symbolizer-16 for all addresses in one run.
func llvmFrames(t *testing.T, image string, addrs []uint64) [][]diffFrame {
	t.Helper()
	var in strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&in, "%#x\n", a)
	}
	c := exec.Command("llvm-symbolizer-16", "--obj="+image, "--functions=linkage", "--no-demangle", "--inlines", "--output-style=LLVM")
	c.Stdin = strings.NewReader(in.String())
	text, err := c.Output()
	if err != nil {
		t.Fatalf("llvm-symbolizer-16 is needed by this test (make tools installs it): %v", err)
	}
	out := make([][]diffFrame, 0, len(addrs))
	for block := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		var frames []diffFrame
		for i := 0; i+1 < len(lines); i += 2 {
			f := diffFrame{function: lines[i]}
			rest, column, _ := cutLast(lines[i+1], ":")
			file, line, _ := cutLast(rest, ":")
			f.file = file
			fmt.Sscan(line, &f.line)
			fmt.Sscan(column, &f.column)
			frames = append(frames, f)
		}
		out = append(out, frames)
	}
	if len(out) != len(addrs) {
		t.Fatalf("%d answers to %d addresses", len(out), len(addrs))
	}
	return out
}

// TestDifferentialGuests compares 20,000 random addresses of every guest image.
func TestDifferentialGuests(t *testing.T) {
	for _, name := range images.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			differential(t, guestImage(t, name), 20_000)
		})
	}
}

// TestDifferentialLinux compares 20,000 random addresses of Debian's vmlinux; it is
// big, and runs where BIG=1.
func TestDifferentialLinux(t *testing.T) {
	if os.Getenv("BIG") != "1" {
		t.Skip("BIG=1 downloads Debian's vmlinux with debug information, 630 MB")
	}
	script, err := filepath.Abs("../scripts/vmlinux.sh")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(script).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	differential(t, strings.TrimSpace(string(out)), 20_000)
}
