package ctype_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// compile builds a freestanding executable of testdata files.
func compile(t testing.TB, compiler []string, sources ...string) *symbolizer.Image {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	args := append(compiler[1:len(compiler):len(compiler)], "-ffreestanding", "-nostdlib", "-static", "-o", out)
	for _, s := range sources {
		args = append(args, filepath.Join("testdata", s))
	}
	if text, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%v %v: %v\n%s\n(make tools installs the compilers)", compiler[0], args, err, text)
	}
	im, err := symbolizer.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// toolchains are the ways the same source is compiled.
var toolchains = map[string][]string{
	"gcc-O2":       {"gcc", "-g", "-O2"},
	"gcc-O0-dw4":   {"gcc", "-gdwarf-4", "-O0"},
	"gcc-dw2":      {"gcc", "-gdwarf-2", "-gstrict-dwarf", "-O1"},
	"gcc-zlib":     {"gcc", "-g", "-O2", "-gz=zlib"},
	"gcc-dw64":     {"gcc", "-g", "-O2", "-gdwarf64"},
	"arm64-gcc-O2": {"aarch64-linux-gnu-gcc", "-g", "-O2"},
	"clang-O2":     {"clang-16", "-gdwarf-5", "-O2"},
	"clang-dw4":    {"clang-16", "-gdwarf-4", "-O1"},
	"arm64-clang":  {"clang-16", "--target=aarch64-linux-gnu", "-fuse-ld=lld", "-gdwarf-5", "-O2"},
}

// imageMemory is a guest that holds what its image does; .bss is zero.
type imageMemory struct {
	im    *symbolizer.Image
	reads int
}

func (m *imageMemory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	m.reads++
	for i := range p {
		a := addr + uint64(i)
		if b, ok := m.im.Data(a, 1); ok {
			p[i] = b[0]
		} else if _, ok := m.im.SectionAt(a); ok {
			p[i] = 0
		} else {
			return i, &target.FaultError{Addr: a}
		}
	}
	return len(p), nil
}

func newTypes(t testing.TB, im *symbolizer.Image) *ctype.Types {
	t.Helper()
	ts, err := ctype.New(im)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func forEach(t *testing.T, f func(t *testing.T, ts *ctype.Types, r *ctype.Reader, mem *imageMemory)) {
	for name, cc := range toolchains {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im := compile(t, cc, "layout.c", "other.c")
			mem := &imageMemory{im: im}
			ts := newTypes(t, im)
			f(t, ts, ts.Reader(context.Background(), mem, 0), mem)
		})
	}
}
