package symbolizer_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// compile builds files (name → content) with a compiler command line run in
// their folder, and returns the path of "out" there.
func compile(t testing.TB, files map[string]string, command ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, command...)
	return filepath.Join(dir, "out")
}

// run runs a tool in dir and returns its output; a missing tool fails the test.
func run(t testing.TB, dir string, command ...string) string {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Fatalf("%s is needed by this test (make tools installs it): %v", command[0], err)
	}
	c := exec.Command(command[0], command[1:]...)
	c.Dir = dir
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, stderr.String())
	}
	return string(out)
}

const smallC = `
int table[4] = {1, 2, 3, 4};
static int helper(int x) { return table[x & 3]; }
int work(int x) { return helper(x) + 1; }
void _start(void) { work(3); for (;;); }
`

func small(t testing.TB, flags ...string) string {
	return compile(t, map[string]string{"a.c": smallC},
		append([]string{"gcc", "-nostdlib", "-static", "-ffreestanding", "-o", "out", "a.c"}, flags...)...)
}

func TestOpen(t *testing.T) {
	for _, flags := range [][]string{
		{"-g"}, {"-g", "-gz=zlib"}, {"-g", "-gz=zlib-gnu"}, {"-g", "-Wl,--compress-debug-sections=zstd"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			plain := small(t, "-g")
			path := small(t, flags...)
			im, err := symbolizer.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			if im.Arch().Name != "x86_64" {
				t.Errorf("arch is %s", im.Arch().Name)
			}
			work, ok := im.SymbolByName("work")
			if !ok || work.Size == 0 {
				t.Fatalf("work: %+v %v", work, ok)
			}
			at, ok := im.Symbol(work.Addr + work.Size - 1)
			if !ok || at != work {
				t.Errorf("symbol at the last byte of work: %+v", at)
			}
			if b, ok := im.Data(work.Addr, int(work.Size)); !ok || len(b) != int(work.Size) {
				t.Errorf("data of work: %d bytes, %v", len(b), ok)
			}
			want := run(t, filepath.Dir(plain), "objcopy", "-O", "binary", "--only-section=.text", plain, "/dev/stdout")
			if got := string(im.Section(".text")); got != want {
				t.Errorf(".text differs from objcopy's")
			}
			d, err := im.DebugData()
			if err != nil {
				t.Fatal(err)
			}
			if e, err := d.Reader().Next(); err != nil || e == nil {
				t.Errorf("first DIE: %v %v", e, err)
			}
			other, err := symbolizer.Open(plain)
			if err != nil {
				t.Fatal(err)
			}
			if im.ContentHash() != other.ContentHash() {
				t.Error("the hash depends on how debug information is stored")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	good := small(t, "-g")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var wrapper *symbolizer.WrapperError
	var format *symbolizer.FormatError

	stripped := write("s", data)
	run(t, "", "strip", stripped)
	if _, err := symbolizer.Open(stripped); !errors.Is(err, symbolizer.ErrStripped) {
		t.Errorf("stripped: %v", err)
	}
	boot := write("boot", append([]byte("\x7fELF\x01\x01\x01"), append(make([]byte, 11), 3, 0, 0, 0)...))
	if _, err := symbolizer.Open(boot); !errors.As(err, &wrapper) || !strings.Contains(err.Error(), "NAME.dbg") {
		t.Errorf("wrapper: %v", err)
	}
	if err := os.WriteFile(boot+".dbg", data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := symbolizer.Open(boot); !errors.As(err, &wrapper) || wrapper.Found != boot+".dbg" {
		t.Errorf("wrapper beside its .dbg: %v", err)
	}
	armImage := make([]byte, 4096)
	copy(armImage[56:], "ARM\x64")
	if _, err := symbolizer.Open(write("Image", armImage)); !errors.As(err, &wrapper) {
		t.Errorf("arm64 Image: %v", err)
	}
	for n := 0; n < len(data); n += 1 + len(data)/97 {
		_, err := symbolizer.Open(write("cut", data[:n]))
		if !errors.As(err, &format) || strings.Contains(err.Error(), "\n") {
			t.Errorf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := symbolizer.Open(t.TempDir()); !errors.As(err, &format) {
		t.Errorf("folder: %v", err)
	}
	if _, err := symbolizer.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestNoDWARF(t *testing.T) {
	im, err := symbolizer.Open(small(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := im.DebugData(); !errors.Is(err, symbolizer.ErrNoDWARF) {
		t.Errorf("DebugData: %v", err)
	}
	if _, ok := im.SymbolByName("work"); !ok {
		t.Error("symbols are not usable")
	}
}
