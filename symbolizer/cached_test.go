package symbolizer_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// open opens an image with a cache.
func openCached(t *testing.T, data []byte, dir string) *symbolizer.Image {
	t.Helper()
	im, err := symbolizer.OpenBytes("cached", data)
	if err != nil {
		t.Fatal(err)
	}
	im.UseCache(dir)
	return im
}

// TestCacheIsOfContent: what is kept of one image is found for the same bytes
// wherever they are, and for no others.
func TestCacheIsOfContent(t *testing.T) {
	path := build{"", "gcc", "-O2 -g -Wl,--build-id=none"}.make(t, "main.c", "other.c")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cache")
	im := openCached(t, data, dir)
	im.Keep("x.1", func() []byte { return []byte("kept") })
	if im.Cached("x.1") != nil {
		t.Error("it is there before it was written")
	}
	im.Close()
	elsewhere, err := symbolizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	elsewhere.UseCache(dir)
	if got := elsewhere.Cached("x.1"); string(got) != "kept" {
		t.Errorf("in the next process it is %q", got)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	// One byte changed, the size and every header as before.
	for _, name := range []string{".debug_str", ".debug_info", ".debug_abbrev", ".symtab", ".strtab"} {
		s := f.Section(name)
		for _, off := range []uint64{0, s.Size / 2, s.Size - 1} {
			changed := bytes.Clone(data)
			changed[s.Offset+off] ^= 1
			im := openCached(t, changed, dir)
			if im.Cached("x.1") != nil {
				t.Errorf("%s+%#x changed, and the cache is used all the same", name, off)
			}
			im.Close()
		}
	}
}

// TestCacheOff keeps nothing where no folder is named, and fails at nothing where
// it cannot be written.
func TestCacheOff(t *testing.T) {
	data, err := os.ReadFile(build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "/dev/null/cache"} {
		im := openCached(t, data, dir)
		im.Keep("x.1", func() []byte { return []byte("kept") })
		if err := im.SaveCache(); (err == nil) != (dir == "") {
			t.Errorf("%q: %v", dir, err)
		}
		if im.Cached("x.1") != nil {
			t.Errorf("%q: kept", dir)
		}
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTypesWithCache asks for types and variables without a cache, while it is
// made, and from it.
func TestTypesWithCache(t *testing.T) {
	data, err := os.ReadFile(build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var first string
	for _, cache := range []string{"", dir, dir} {
		im := openCached(t, data, cache)
		ts, err := ctype.New(im)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		vars, err := ts.Globals()
		if err != nil || len(vars) == 0 {
			t.Fatal(len(vars), err)
		}
		for _, v := range vars {
			f, _ := ts.Global(v.Name)
			text += v.Name + " " + v.Type.Definition() + " " + f.File + "\n"
		}
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("cache %q: %s, want %s", cache, text, first)
		}
		im.Close()
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d cache files", len(files))
	}
}
