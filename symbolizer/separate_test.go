package symbolizer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/debugfile"
)

// apart builds the small program, with flags, and takes its debug information
// out of it: whole is as it was linked, image stripped, and debug what was taken
// out. The image has no link to it yet.
func apart(t *testing.T, flags ...string) (whole, image, debug string) {
	t.Helper()
	whole = small(t, append([]string{"-O2", "-g"}, flags...)...)
	dir := t.TempDir()
	image, debug = filepath.Join(dir, "out"), filepath.Join(dir, "out.debug")
	run(t, dir, "objcopy", "--only-keep-debug", whole, debug)
	run(t, dir, "objcopy", "--strip-all", whole, image)
	return whole, image, debug
}

// put copies a file to a path whose folders need not be there.
func put(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string, dirs ...string) (*symbolizer.Image, error) {
	im, err := symbolizer.OpenWith(context.Background(), path, symbolizer.OpenOptions{Debug: &debugfile.Finder{Dirs: dirs}})
	if im != nil {
		t.Cleanup(func() { im.Close() })
	}
	return im, err
}

// sameAnswers compares all that two images say of all code.
func sameAnswers(t *testing.T, got, want *symbolizer.Image) {
	t.Helper()
	addrs := codeAddrs(want, 1)
	for _, a := range addrs {
		g, gErr := got.Resolve(a)
		w, wErr := want.Resolve(a)
		if !reflect.DeepEqual(g, w) || !reflect.DeepEqual(gErr, wErr) {
			t.Fatalf("%#x: %+v %v, want %+v %v", a, g, gErr, w, wErr)
		}
	}
	if len(addrs) < 10 {
		t.Fatalf("only %d addresses", len(addrs))
	}
	if g, w := got.SymbolsByPrefix(""), want.SymbolsByPrefix(""); !reflect.DeepEqual(g, w) {
		t.Errorf("symbols %v, want %v", g, w)
	}
	if got.ContentHash() != want.ContentHash() {
		t.Error("another content")
	}
}

func TestSeparateDebugFile(t *testing.T) {
	whole, image, debug := apart(t, "-Wl,--build-id=sha1")
	want, err := symbolizer.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	id := want.BuildID()
	linked := filepath.Join(t.TempDir(), "linked")
	run(t, "", "objcopy", "--add-gnu-debuglink="+debug, image, linked)
	name := filepath.Base(debug)

	type place struct{ name, image, at string }
	root := t.TempDir()
	places := []place{
		{"beside", filepath.Join(root, "a", "prog"), filepath.Join(root, "a", name)},
		{"in .debug", filepath.Join(root, "b", "prog"), filepath.Join(root, "b", ".debug", name)},
		{"by path", filepath.Join(root, "c", "prog"), filepath.Join(root, "dirs", root, "c", name)},
		{"by build id", filepath.Join(root, "d", "prog"), filepath.Join(root, "dirs", ".build-id", id[:2], id[2:]+".debug")},
	}
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			put(t, linked, p.image)
			put(t, debug, p.at)
			defer os.Remove(p.at)
			im, err := open(t, p.image, filepath.Join(root, "none"), filepath.Join(root, "dirs"))
			if err != nil {
				t.Fatal(err)
			}
			if im.DebugFile() != p.at || im.MissingDebug() != nil {
				t.Errorf("found %q, %v", im.DebugFile(), im.MissingDebug())
			}
			sameAnswers(t, im, want)
			if table, err := im.CFI(); err != nil || table.Len() == 0 {
				t.Errorf("call frame information: %v", err)
			}
			if d, err := im.DebugData(); err != nil {
				t.Error(err)
			} else if e, err := d.Reader().Next(); err != nil || e == nil {
				t.Errorf("first entry: %v", err)
			}
		})
	}
	t.Run("no link, build id alone", func(t *testing.T) {
		put(t, debug, places[3].at)
		im, err := open(t, image, filepath.Join(root, "dirs"))
		if err != nil {
			t.Fatal(err)
		}
		sameAnswers(t, im, want)
	})
	t.Run("nowhere", func(t *testing.T) {
		put(t, linked, filepath.Join(root, "e", "prog"))
		_, err := open(t, filepath.Join(root, "e", "prog"), filepath.Join(root, "empty"))
		var none *debugfile.NotFoundError
		if !errors.Is(err, symbolizer.ErrStripped) || !errors.As(err, &none) {
			t.Fatalf("error: %v", err)
		}
		for _, part := range []string{
			id, filepath.Join(root, "e", name), filepath.Join(root, "e", ".debug", name),
			filepath.Join(root, "empty", root, "e", name), filepath.Join(root, "empty", ".build-id", id[:2], id[2:]+".debug"),
		} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not tell %s", err, part)
			}
		}
	})
}

// TestSeparateByChecksum has no build ids: the checksum in the link decides.
func TestSeparateByChecksum(t *testing.T) {
	whole, image, debug := apart(t, "-Wl,--build-id=none")
	run(t, filepath.Dir(image), "objcopy", "--add-gnu-debuglink="+debug, image)
	want, err := symbolizer.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	im, err := open(t, image)
	if err != nil {
		t.Fatal(err)
	}
	sameAnswers(t, im, want)
	b, err := os.ReadFile(debug)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(debug, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, image); !errors.Is(err, symbolizer.ErrStripped) || !strings.Contains(err.Error(), "CRC") {
		t.Errorf("with another checksum: %v", err)
	}
}

// TestSeparateOfAnotherBuild puts debug files of other programs where the right
// ones would be.
func TestSeparateOfAnotherBuild(t *testing.T) {
	whole, image, debug := apart(t, "-Wl,--build-id=sha1")
	_, _, other := apart(t, "-Wl,--build-id=sha1", "-DOTHER", "-O0")
	run(t, filepath.Dir(image), "objcopy", "--add-gnu-debuglink="+other, image)
	im, err := symbolizer.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	id := im.BuildID()
	dirs := t.TempDir()
	right := filepath.Join(t.TempDir(), "right")
	put(t, debug, right)
	at := filepath.Join(dirs, ".build-id", id[:2], id[2:]+".debug")
	// The link's checksum fits, the build id does not.
	put(t, other, filepath.Join(filepath.Dir(image), filepath.Base(other)))
	put(t, other, at)
	if _, err := open(t, image, dirs); !errors.Is(err, symbolizer.ErrStripped) || strings.Count(err.Error(), "has build id") != 2 {
		t.Errorf("another build: %v", err)
	}
	for name, b := range map[string]string{"text": "no ELF file", "empty": "", "wrapper": "\x7fELF\x01\x01\x01" + strings.Repeat("\x00", 60)} {
		if err := os.WriteFile(at, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, image, dirs); !errors.Is(err, symbolizer.ErrStripped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	arm := compile(t, map[string]string{"a.c": smallC}, "aarch64-linux-gnu-gcc", "-g", "-nostdlib", "-static", "-ffreestanding", "-o", "out", "a.c")
	put(t, arm, at)
	if _, err := open(t, image, dirs); err == nil || !strings.Contains(err.Error(), "EM_AARCH64") {
		t.Errorf("for another architecture: %v", err)
	}
	put(t, right, at)
	if im, err := open(t, image, dirs); err != nil || im.DebugFile() != at {
		t.Errorf("the right one: %v", err)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, image, dirs); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// TestDamagedLink: a link that cannot be read is told and not followed.
func TestDamagedLink(t *testing.T) {
	_, image, _ := apart(t)
	for name, content := range map[string]string{"path": "../x\x00\x00\x00\x00\x01\x02\x03\x04", "short": "x.debug\x00\x01", "empty": "\x00\x00\x00\x00\x00\x00\x00\x00"} {
		section := filepath.Join(t.TempDir(), "section")
		if err := os.WriteFile(section, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "image")
		run(t, "", "objcopy", "--add-section=.gnu_debuglink="+section, image, out)
		if _, err := open(t, out); !errors.Is(err, debugfile.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSupplementaryFile lets dwz move what two programs have in common to a file
// of its own.
func TestSupplementaryFile(t *testing.T) {
	for _, tc := range []struct{ name, flags, dwz string }{
		{"dwarf-4", "-gdwarf-4", ""}, {"dwarf-5", "-gdwarf-5", ""}, {"dwarf-5-sup", "-gdwarf-5", "--dwarf-5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Dir(compile(t, sources(t), "true"))
			for _, name := range []string{"one", "two"} {
				run(t, dir, "g++", "-O2", tc.flags, "-nostdlib", "-static", "-no-pie", "-ffreestanding", "-fno-stack-protector",
					"-Wl,--build-id=sha1,-e,0", "-o", name, "shapes.cc")
				run(t, dir, "gcc", "-O2", tc.flags, "-nostdlib", "-static", "-no-pie", "-ffreestanding", "-fno-stack-protector",
					"-Wl,--build-id=sha1,-e,0", "-D"+name, "-o", "c"+name, "main.c", "other.c")
			}
			want := map[string][]string{}
			for _, name := range []string{"one", "cone"} {
				want[name], _ = everywhere(t, filepath.Join(dir, name), dir)
			}
			args := append([]string{"dwz"}, strings.Fields(tc.dwz)...)
			run(t, dir, append(args, "-m", "common", "-M", "common", "one", "two", "cone", "ctwo")...)
			for name, list := range want {
				path := filepath.Join(dir, name)
				im, err := open(t, path)
				if err != nil {
					t.Fatal(err)
				}
				if err := im.MissingDebug(); err != nil {
					t.Error(err)
				}
				if im.Section(".gnu_debugaltlink") == nil && im.Section(".debug_sup") == nil {
					t.Errorf("dwz moved nothing of %s", name)
				}
				sameList(t, name, resolveAll(im, dir), list)
			}
			// Another file under the same name is not used.
			run(t, dir, "objcopy", "--remove-section=.note.gnu.build-id", "--remove-section=.debug_sup", "common")
			im, err := open(t, filepath.Join(dir, "cone"))
			if err != nil {
				t.Fatal(err)
			}
			if err := im.MissingDebug(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "common")) || !strings.Contains(err.Error(), "has build id") {
				t.Errorf("another supplementary file: %v", err)
			}
			if got := resolveAll(im, dir); len(got) != len(want["cone"]) {
				t.Errorf("%d answers", len(got))
			}
		})
	}
}
