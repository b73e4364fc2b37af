package loaded_test

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/stoppedtest"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
	"github.com/ukdbg/ukdbg/symbolizer/loaded"
)

func find(t *testing.T, p *stoppedtest.Process, w loaded.Where) []loaded.Object {
	t.Helper()
	w.Machine = elf.EM_X86_64
	objects, notes, err := loaded.Find(context.Background(), p, w)
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v, notes %q", err, notes)
	}
	return objects
}

func named(objects []loaded.Object, base string) *loaded.Object {
	for i, o := range objects {
		if filepath.Base(o.Path) == base {
			return &objects[i]
		}
	}
	return nil
}

// TestFind finds what Linux' own maps say of a program that ld.so started, by each
// of the ways alone.
func TestFind(t *testing.T) {
	for name, flags := range map[string]string{"pie": "-g -O2 -pie -fPIE", "fixed": "-g -O2 -no-pie"} {
		t.Run(name, func(t *testing.T) {
			p := stoppedtest.Start(t, flags, false)
			ld := filepath.Base(interpreter(t, filepath.Join(p.Dir, "app")))
			for way, w := range map[string]loaded.Where{
				"stack": {Stacks: []uint64{p.Stack(t)}},
				"areas": {Areas: p.Starts()},
				"both":  {Areas: p.Starts(), Stacks: []uint64{p.Stack(t)}},
			} {
				objects := find(t, p, w)
				for _, file := range []string{"app", "libwork.so", "libc.so.6", ld} {
					o := named(objects, file)
					if file == "app" && way == "areas" {
						o = &objects[slices.IndexFunc(objects, func(o loaded.Object) bool { return o.Path == "" })]
					}
					if o == nil {
						t.Errorf("%s: no %s in %v", way, file, objects)
						continue
					}
					if at := p.First(t, file); o.Start != at || o.How != loaded.LinkMap || !o.Contains(at) || o.Contains(at-1) {
						t.Errorf("%s: %s at %#x, %s; mapped at %#x", way, file, o.Start, o.How, at)
					}
					if name == "pie" && o.Slide != o.Start {
						t.Errorf("%s: %s has slide %#x", way, file, o.Slide)
					}
				}
			}
			at := p.First(t, "libwork.so") + 0x1010 // in its second page
			objects := find(t, p, loaded.Where{Code: []uint64{at}})
			if len(objects) != 1 || objects[0].How != loaded.Scan || objects[0].Start != p.First(t, "libwork.so") {
				t.Errorf("by an address of its code: %+v", objects)
			}
		})
	}
}

func interpreter(t *testing.T, file string) string {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := f.Section(".interp").Data()
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(strings.TrimRight(string(b), "\x00"))
	if err != nil {
		t.Fatal(err)
	}
	return real
}

// TestStatic: programs without a dynamic loader are told by the vector.
func TestStatic(t *testing.T) {
	for name, flags := range map[string]string{"pie": "-g -O2 -static-pie", "fixed": "-g -O2 -static"} {
		t.Run(name, func(t *testing.T) {
			p := stoppedtest.Start(t, flags, true)
			objects := find(t, p, loaded.Where{Stacks: []uint64{p.Stack(t)}})
			o := named(objects, "app")
			if o == nil || o.Start != p.First(t, "app") || o.Path != filepath.Join(p.Dir, "app") {
				t.Fatalf("%+v", objects)
			}
			im := open(t, p, &loaded.Files{Apps: []string{o.Path}}, *o)
			names(t, symbolizer.Mapping{Image: im, Slide: o.Slide}, "main")
		})
	}
}

func open(t *testing.T, p *stoppedtest.Process, f *loaded.Files, o loaded.Object) *symbolizer.Image {
	t.Helper()
	im, err := f.Open(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// names checks that a mapping gives a function at its address its name.
func names(t *testing.T, m symbolizer.Mapping, function string) {
	t.Helper()
	sym, ok := m.Image.SymbolByName(function)
	locs, err := m.Resolve(m.Run(sym.Addr))
	if !ok || err != nil || locs[len(locs)-1].Function != function {
		t.Errorf("%s: %v %v", function, locs, err)
	}
}

// TestFiles takes the file of a library from each place, and no other file.
func TestFiles(t *testing.T) {
	p := stoppedtest.Start(t, "-g -O2 -pie -fPIE", false)
	o := *named(find(t, p, loaded.Where{Stacks: []uint64{p.Stack(t)}}), "libwork.so")
	lib := filepath.Join(p.Dir, "libwork.so")
	other := t.TempDir()
	stoppedtest.Compile(t, other, "-g -O0 -fPIC -shared", "-o", "libwork.so", "work.c")
	wrong := filepath.Join(other, "libwork.so")
	root := t.TempDir()
	data, err := os.ReadFile(lib)
	if err == nil {
		err = os.MkdirAll(filepath.Join(root, p.Dir), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, lib), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	byPath := writeCpio(t, entry{lib, 0o100755, data})
	linked := writeCpio(t, entry{p.Dir, 0o120777, []byte("/store")}, entry{"store/libwork.so", 0o100755, data})
	byID := writeCpio(t, entry{"a", 0o100644, []byte("text")}, entry{"elsewhere/lib1", 0o100755, data})
	for name, f := range map[string]*loaded.Files{
		"app":        {Apps: []string{wrong, lib}},
		"root":       {Roots: []string{other, root}},
		"flat root":  {Roots: []string{p.Dir}},
		"initrd":     {Initrd: byPath},
		"link":       {Initrd: linked},
		"build id":   {Initrd: byID},
		"debug file": {Debug: &debugfile.Finder{Dirs: []string{debugDir(t, lib, o.BuildID)}}},
	} {
		im := open(t, p, f, o)
		if im.BuildID() != o.BuildID || o.BuildID == "" {
			t.Errorf("%s: build id %q, in memory %q", name, im.BuildID(), o.BuildID)
		}
		names(t, symbolizer.Mapping{Image: im, Slide: o.Slide}, "work")
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	nothing := filepath.Join(root, "none.cpio")
	for _, f := range []*loaded.Files{{}, {Apps: []string{wrong}, Roots: []string{other}, Initrd: nothing}, {Initrd: writeCpio(t, entry{"a", 0o100644, nil})}} {
		_, err := f.Open(context.Background(), p, o)
		var missing *loaded.MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), lib+" build id "+o.BuildID) || !strings.Contains(err.Error(), "give --app") {
			t.Errorf("%v", err)
		}
		if len(f.Apps) > 0 && (!strings.Contains(err.Error(), wrong+" (another file: build id ") || !strings.Contains(err.Error(), nothing)) {
			t.Errorf("%v", err)
		}
	}
}

// TestNoBuildID: without a build id the bytes decide.
func TestNoBuildID(t *testing.T) {
	p := stoppedtest.Start(t, "-g -O2 -static-pie -Wl,--build-id=none", true)
	o := *named(find(t, p, loaded.Where{Stacks: []uint64{p.Stack(t)}}), "app")
	if o.BuildID != "" {
		t.Fatalf("build id %s", o.BuildID)
	}
	open(t, p, &loaded.Files{Apps: []string{o.Path}}, o)
	other := t.TempDir()
	stoppedtest.Compile(t, other, "-g -Os -static-pie -Wl,--build-id=none", "-o", "app", "main.c", "work.c")
	f := loaded.Files{Apps: []string{filepath.Join(other, "app")}}
	if im, err := f.Open(context.Background(), p, o); err == nil {
		t.Errorf("%s was taken", im.Path)
	}
}
