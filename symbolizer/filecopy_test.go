package symbolizer_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// A private image is not touched by what happens to the file, and leaves nothing in its
// folder; where there is no folder it is in memory.
func TestPrivateCopy(t *testing.T) {
	made := build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c")
	data, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	path, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	for _, private := range []string{dir, filepath.Join(dir, "missing")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		im, err := symbolizer.OpenWith(context.Background(), path, symbolizer.OpenOptions{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		twin, err := symbolizer.Open(made)
		if err != nil {
			t.Fatal(err)
		}
		if !im.SameFile(twin) {
			t.Error("a copy is not its original")
		}
		if err := os.Truncate(path, 64); err != nil {
			t.Fatal(err)
		}
		sym, ok := im.SymbolByName("serve")
		locs, err := im.Resolve(sym.Addr)
		if !ok || err != nil || len(locs) == 0 || locs[0].Function != "serve" {
			t.Errorf("%v %v %v", ok, locs, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the folder: %v %v", left, err)
		}
		for _, i := range []*symbolizer.Image{im, twin} {
			if err := i.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// What a memo holds of one image another of the same file takes, and need not make.
func TestMemo(t *testing.T) {
	path := build{"", "gcc", "-O2 -g"}.make(t, "main.c", "other.c")
	memo := &symbolizer.Memo{}
	open := func() *symbolizer.Image {
		im, err := symbolizer.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		im.UseMemo(memo)
		return im
	}
	first := open()
	made := 0
	first.Keep("a", func() []byte { made++; return []byte("value") })
	first.Keep("b", func() []byte { return nil })
	if first.Cached("a") != nil {
		t.Error("there before it was made")
	}
	if n := memo.Make(); n != 1 || made != 1 {
		t.Errorf("%d values made, %d times", n, made)
	}
	if n := memo.Make(); n != 0 || made != 1 {
		t.Errorf("made again: %d, %d", n, made)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second := open()
	if got := string(second.Cached("a")); got != "value" || second.Cached("b") != nil {
		t.Errorf("got %q", got)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
