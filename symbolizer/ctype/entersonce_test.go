package ctype

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// TestEntersOnce: a function that ends in a jump that may lead to it again is told
// from one that cannot.
func TestEntersOnce(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if text, err := exec.Command("gcc", "-g", "-O2", "-ffreestanding", "-nostdlib", "-static", "-o", image, "testdata/reenter.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	f, err := elf.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := func(name string) []byte {
		if s := f.Section(name); s != nil {
			b, _ := s.Data()
			return b
		}
		return nil
	}
	ts := &Types{d: dies.New(dies.SectionsOf(section)), section: section, cache: map[uint64]*Type{}, void: voidType()}
	for name, want := range map[string]bool{"last": true, "forward": true, "anywhere": false, "to_anywhere": false, "ping": false, "pong": false} {
		fn, err := ts.FunctionNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		scope, err := ts.Scope(fn.Entry, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // once found out, once remembered
			if got := ts.entersOnce(scope.outer); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}
