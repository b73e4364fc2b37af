package symbolizer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// splitBuild compiles files to objects in a folder of its own and links them.
func splitBuild(t *testing.T, compiler, flags string, files ...string) (dir string) {
	t.Helper()
	dir = filepath.Dir(compile(t, sources(t), "true"))
	var objects []string
	for _, f := range files {
		o := f[:strings.IndexByte(f, '.')] + ".o"
		run(t, dir, append(append([]string{compiler, "-c", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-o", o}, strings.Fields(flags)...), f)...)
		objects = append(objects, o)
	}
	link := []string{compiler, "-nostdlib", "-static", "-no-pie", "-o", "out"}
	if strings.HasPrefix(compiler, "clang") {
		link = append(link, "-fuse-ld=lld-16")
	}
	run(t, dir, append(link, objects...)...)
	return dir
}

// everywhere gives what an image says of all its code, without the folder it was
// built in.
func everywhere(t *testing.T, path, dir string) (answers []string, images *symbolizer.Image) {
	t.Helper()
	im, err := symbolizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	if answers = resolveAll(im, dir); len(answers) < 100 {
		t.Fatalf("only %d addresses", len(answers))
	}
	return answers, im
}

func resolveAll(im *symbolizer.Image, dir string) (answers []string) {
	for _, a := range codeAddrs(im, 1) {
		locs, err := im.Resolve(a)
		answers = append(answers, strings.ReplaceAll(fmt.Sprintf("%#x %+v %v", a, locs, err), dir, "DIR"))
	}
	return answers
}

// TestSplitDWARF compares what is said with .dwo files, and with a package of
// them, with what is said of the same code when nothing is split.
func TestSplitDWARF(t *testing.T) {
	// binutils' dwp leaves the units of version 5 out, without a word.
	for _, tc := range []struct {
		compiler, flags, packer string
		files                   []string
	}{
		{"gcc", "-O2 -gdwarf-4", "dwp", []string{"main.c", "other.c"}},
		{"gcc", "-O2 -gdwarf-5", "llvm-dwp-16", []string{"main.c", "other.c"}},
		{"gcc", "-O0 -gdwarf-5", "llvm-dwp-16", []string{"main.c", "other.c"}},
		{"g++", "-O2 -gdwarf-4 -fdebug-types-section", "dwp", []string{"shapes.cc"}},
		{"g++", "-O2 -gdwarf-5 -fdebug-types-section", "llvm-dwp-16", []string{"shapes.cc"}},
		{"clang-14", "-O2 -gdwarf-4", "llvm-dwp-14", []string{"main.c", "other.c"}},
		{"clang-14", "-O2 -gdwarf-5", "llvm-dwp-14", []string{"main.c", "other.c"}},
		{"clang-16", "-Os -gdwarf-4", "llvm-dwp-16", []string{"main.c", "other.c"}},
		{"clang-16", "-O2 -gdwarf-5", "llvm-dwp-16", []string{"main.c", "other.c"}},
		{"clang++-16", "-O2 -gdwarf-5 -fdebug-types-section", "llvm-dwp-16", []string{"shapes.cc"}},
		{"clang++-16", "-O1 -gdwarf-4 -fdebug-types-section", "llvm-dwp-16", []string{"shapes.cc"}},
	} {
		t.Run(tc.compiler+" "+tc.flags, func(t *testing.T) {
			t.Parallel()
			plain := splitBuild(t, tc.compiler, tc.flags, tc.files...)
			want, whole := everywhere(t, filepath.Join(plain, "out"), plain)
			dir := splitBuild(t, tc.compiler, tc.flags+" -gsplit-dwarf", tc.files...)
			out := filepath.Join(dir, "out")
			sameList(t, "with .dwo files", first(everywhere(t, out, dir)), want)

			dwos, err := filepath.Glob(filepath.Join(dir, "*.dwo"))
			if err != nil || len(dwos) != len(tc.files) {
				t.Fatalf("%d .dwo files, %v", len(dwos), err)
			}
			run(t, dir, append([]string{tc.packer, "-o", "out.dwp"}, dwos...)...)
			for _, f := range dwos {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			got, im := everywhere(t, out, dir)
			sameList(t, "with a package", got, want)
			sameTypes(t, im, whole)

			if err := os.Remove(filepath.Join(dir, "out.dwp")); err != nil {
				t.Fatal(err)
			}
			missing, im := everywhere(t, out, dir)
			named := 0
			for i, m := range missing {
				if strings.Contains(m, ".dwo") && strings.Contains(m, "not there") {
					named++
				} else if strings.Contains(want[i], "Line:") && !strings.Contains(want[i], "no symbol") && !strings.Contains(want[i], "FromSymbol:true") {
					t.Errorf("without .dwo files, which nothing tells: %s", m)
				}
			}
			if told := im.MissingSplit(); len(told) != len(tc.files) {
				t.Errorf("%d missing files are told: %v", len(told), told)
			}
			if named < 50 {
				t.Errorf("%d answers name a missing file", named)
			}
			if _, err := ctype.New(im); err != nil && !strings.Contains(err.Error(), ".dwo") {
				t.Errorf("types: %v", err)
			}
		})
	}
}

func first[T, U any](a T, _ U) T { return a }

func sameList(t *testing.T, how string, got, want []string) {
	t.Helper()
	wrong := 0
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			if wrong++; wrong <= 3 {
				t.Errorf("%s\n got %s\nwant %s", how, got[i], want[i])
			}
		}
	}
	if wrong > 0 || len(got) != len(want) {
		t.Errorf("%s: %d of %d answers differ, %d wanted", how, wrong, len(got), len(want))
	}
}

// sameTypes compares the structs the test programs have.
func sameTypes(t *testing.T, got, want *symbolizer.Image) {
	t.Helper()
	g, err := ctype.New(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ctype.New(want)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range []string{"struct request", "struct Shape", "struct Square", "struct Box<int>", "int"} {
		wt, wErr := w.Lookup(name)
		gt, gErr := g.Lookup(name)
		if (wErr == nil) != (gErr == nil) {
			t.Errorf("%s: %v, want %v", name, gErr, wErr)
			continue
		}
		if wErr != nil {
			continue
		}
		found++
		if gt.Size() != wt.Size() || gt.Definition() != wt.Definition() {
			t.Errorf("%s: %s of %d bytes, want %s of %d", name, gt.Definition(), gt.Size(), wt.Definition(), wt.Size())
		}
	}
	if found == 0 {
		t.Error("no type compared")
	}
}

// TestOtherDWO puts the .dwo file of another build in the place of the right one.
func TestOtherDWO(t *testing.T) {
	for _, version := range []string{"4", "5"} {
		dir := splitBuild(t, "gcc", "-O2 -gsplit-dwarf -gdwarf-"+version, "main.c", "other.c")
		other := splitBuild(t, "gcc", "-O1 -gsplit-dwarf -gdwarf-"+version, "main.c", "other.c")
		put(t, filepath.Join(other, "main.dwo"), filepath.Join(dir, "main.dwo"))
		put(t, filepath.Join(other, "main.dwo"), filepath.Join(dir, "other.dwo"))
		answers, im := everywhere(t, filepath.Join(dir, "out"), dir)
		if all := strings.Join(answers, "\n"); !strings.Contains(all, "no unit of that number") {
			t.Error("nothing tells that the files are others")
		}
		for _, a := range codeAddrs(im, 1) {
			// The assembly in main.c has a label without a size.
			if locs, err := im.Resolve(a); err == nil && !locs[len(locs)-1].FromSymbol && locs[0].Function != "" {
				t.Fatalf("%#x: %+v", a, locs)
			}
		}
	}
}
