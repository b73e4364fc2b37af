package names

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// indexOf compiles a program and gives .debug_names and .debug_str.
func indexOf(t testing.TB, flags ...string) (section, str []byte) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "a.c")
	if err := os.WriteFile(source, []byte("int Answer = 42;\nstruct s { int i; } one;\nint f(int a) { return a + one.i + Answer; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "a")
	args := append(flags, "-gdwarf-5", "-gpubnames", "-ffreestanding", "-nostdlib", "-static", "-Wl,-e,f", "-o", image, source)
	if text, err := exec.Command("clang-16", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v (make tools installs it)\n%s", err, text)
	}
	f, err := elf.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, to := range map[string]*[]byte{".debug_names": &section, ".debug_str": &str} {
		if *to, err = f.Section(name).Data(); err != nil {
			t.Fatal(err)
		}
	}
	return section, str
}

func TestUnits(t *testing.T) {
	for _, flags := range [][]string{{"-O1"}, {"-O1", "-gdwarf64"}} {
		ix, err := Parse(indexOf(t, flags...))
		if err != nil {
			t.Fatal(err)
		}
		if got := ix.Listed(); !slices.Equal(got, []uint64{0}) {
			t.Errorf("%v: units %x", flags, got)
		}
		for name, want := range map[string][]uint64{"Answer": {0}, "s": {0}, "one": {0}, "f": {0}, "int": {0}, "answer": nil, "nothing": nil, "": nil} {
			if got, ok := ix.Units(name); !ok || !slices.Equal(got, want) {
				t.Errorf("%v: %q is in units %x, %v; want %x", flags, name, got, ok, want)
			}
		}
		if _, ok := ix.Units("größe"); ok {
			t.Error("a name whose hash needs Unicode's tables is answered for")
		}
	}
}

// FuzzIndex asks an index that may hold anything.
func FuzzIndex(f *testing.F) {
	for _, flags := range [][]string{{"-O1"}, {"-O1", "-gdwarf64"}} {
		section, str := indexOf(f, flags...)
		f.Add(section, str, "Answer")
		f.Add(append(slices.Clone(section), section...), str, "f")
	}
	f.Fuzz(func(t *testing.T, section, str []byte, name string) {
		if len(section)+len(str) > 1<<16 {
			return
		}
		ix, err := Parse(section, str)
		if err != nil {
			return
		}
		listed := ix.Listed()
		units, ok := ix.Units(name)
		for _, u := range units {
			if _, found := slices.BinarySearch(listed, u); ok && !found {
				t.Errorf("unit %#x of a name is none of %x", u, listed)
			}
		}
	})
}

// TestRepeated: names and entries that repeat without end are given up, and not all
// listed.
func TestRepeated(t *testing.T) {
	const names, entries = 1 << 12, 1 << 11
	le := binary.LittleEndian
	b := []byte{5, 0, 0, 0}
	for _, v := range []uint32{1, 0, 0, 0, names, 5, 0, 0} { // units, types, foreign, buckets, names, abbreviations, augmentation; the unit
		b = le.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 2*4*names)...) // each at 0 of the strings and of the pool
	b = append(b, 1, 0x34, 0, 0, 0)           // an abbreviation without attributes
	b = append(b, bytes.Repeat([]byte{1}, entries)...)
	b = append(b, 0)
	ix, err := Parse(append(le.AppendUint32(nil, uint32(len(b))), b...), []byte("x\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if units, ok := ix.Units("x"); ok || len(units) > 0 {
		t.Errorf("%d units, %v", len(units), ok)
	}
}
