package imageindex_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/imageindex"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// memory is a guest's memory: the loaded segments of an image at a slide, and what
// was written since.
type memory struct {
	segments []segment
	writes   map[uint64]byte
	reads    int // bytes
}

type segment struct {
	addr uint64
	data []byte
}

func load(t testing.TB, path string, slide uint64) *memory {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := &memory{writes: map[uint64]byte{}}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			data := make([]byte, p.Memsz)
			if _, err := p.ReadAt(data[:p.Filesz], 0); err != nil {
				t.Fatal(err)
			}
			m.segments = append(m.segments, segment{p.Vaddr + slide, data})
		}
	}
	return m
}

func (m *memory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	m.reads += len(p)
	for _, s := range m.segments {
		if addr >= s.addr && addr < s.addr+uint64(len(s.data)) {
			n := copy(p, s.data[addr-s.addr:])
			for i := range n {
				if b, ok := m.writes[addr+uint64(i)]; ok {
					p[i] = b
				}
			}
			if n < len(p) {
				return n, &target.FaultError{Addr: addr + uint64(n)}
			}
			return n, nil
		}
	}
	return 0, &target.FaultError{Addr: addr}
}

// extract writes the guest's files into a folder.
func extract(t testing.TB, dir, name string) (boot, dbg string) {
	t.Helper()
	im, err := images.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if boot, dbg, err = im.Extract(dir); err != nil {
		t.Fatal(err)
	}
	return boot, dbg
}

func hashOf(t testing.TB, dbg string) string {
	t.Helper()
	im, err := symbolizer.Open(dbg)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	return im.ContentHash()
}

// stripped writes an image without debug information and symbols.
func stripped(t testing.TB, dbg, to string) {
	t.Helper()
	f, err := elf.Open(dbg)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	objcopy := "objcopy"
	if f.Machine == elf.EM_AARCH64 {
		objcopy = "aarch64-linux-gnu-objcopy"
	}
	run(t, objcopy, "--strip-all", dbg, to)
}

func refresh(t testing.TB, ix *imageindex.Index) imageindex.Stats {
	t.Helper()
	st, err := ix.Refresh(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// One program has one hash: of the file with debug information, of the stripped one,
// of the bootable forms, and of guest memory.
func TestOneHash(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-x86_64-pie", "ukguest-arm64", "ukguest-arm64-pie"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			boot, dbg := extract(t, dir, name)
			plain := filepath.Join(dir, "stripped")
			stripped(t, dbg, plain)
			want := hashOf(t, dbg)
			ix := imageindex.New(imageindex.Options{Dirs: []string{dir}})
			st := refresh(t, ix)
			all := ix.Images()
			if len(all) != 1 || st.Images != 1 || st.Debug != 1 || st.Loose != 0 || len(st.Notes) > 0 {
				t.Fatalf("%+v, want one image of three files", st)
			}
			im := all[0]
			if im.Hash != want || im.Debug != dbg || len(im.Files) != 3 {
				t.Fatalf("%+v, want hash %s of %s", im, want, dbg)
			}
			if !slices.ContainsFunc(im.Files, func(f imageindex.File) bool { return f.Path == boot }) {
				t.Errorf("the bootable form is not among %+v", im.Files)
			}
			m, err := ix.Find(context.Background(), imageindex.Guest{Memory: load(t, dbg, 0)})
			if err != nil || m.Hash != want || m.Debug != dbg || !m.Proved {
				t.Errorf("by memory: %+v, %v", m, err)
			}
		})
	}
}

// A guest's image is found whatever the guest and its debugger did to the bytes, and
// one that differs in a byte is not it.
func TestFind(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	var want string
	for _, name := range images.Names() {
		_, dbg := extract(t, dir, name)
		if name == "ukguest-arm64-pie" {
			want = dbg
		}
	}
	ix := imageindex.New(imageindex.Options{Dirs: []string{dir}})
	st := refresh(t, ix)
	if st.Images < 10 {
		t.Fatalf("%+v, want the guests' images", st)
	}
	im, err := symbolizer.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	entry := im.Entry()
	find := func(mem *memory) (imageindex.Match, error) {
		return ix.Find(ctx, imageindex.Guest{Memory: mem, Kernel: "/nowhere/kernel"})
	}
	check := func(what string, mem *memory, slide uint64) {
		t.Helper()
		m, err := find(mem)
		if err != nil || m.Debug != want || m.Slide != slide || !m.Proved {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	check("as linked", load(t, want, 0), 0)
	check("slid", load(t, want, 6<<20), 6<<20)

	patched := load(t, want, 0)
	for i, b := range im.Arch().Breakpoint {
		patched.writes[entry&^0xfff+0x200+uint64(i)] = b
	}
	check("with a breakpoint on the first page", patched, 0)

	serve, ok := im.SymbolByName("serve")
	if !ok {
		t.Fatal("no symbol serve")
	}
	other := load(t, want, 0)
	b, _ := im.Data(serve.Addr, 1)
	other.writes[serve.Addr] = b[0] ^ 1
	m, err := find(other)
	if !errors.Is(err, imageindex.ErrUnknown) || !strings.HasPrefix(m.Hash, "page:") || m.Proved {
		t.Fatalf("one byte differs: %+v, %v", m, err)
	}
	// What to look for finds the image that is like it, and no other.
	like, err := ix.Search(ctx, m.Hash)
	if err != nil || len(like) == 0 || !slices.ContainsFunc(like, func(i *imageindex.Image) bool { return i.Debug == want }) {
		t.Errorf("search for %s: %v, %v", m.Hash, like, err)
	}
	none := &memory{}
	if m, err := find(none); !errors.Is(err, imageindex.ErrUnknown) || m.Hash != "" {
		t.Errorf("a guest without memory: %+v, %v", m, err)
	}
	if _, err := ix.Find(ctx, imageindex.Guest{Memory: gone{}}); !errors.Is(err, target.ErrLost) {
		t.Errorf("a lost link: %v", err)
	}
}

type gone struct{}

func (gone) ReadMemory(context.Context, []byte, uint64) (int, error) { return 0, target.ErrLost }

// The kernel file is a hint, and the guest's bytes the proof.
func TestFindByKernel(t *testing.T) {
	ctx := context.Background()
	dir, elsewhere := t.TempDir(), t.TempDir()
	_, dbg := extract(t, dir, "ukguest-x86_64")
	boot, beside := extract(t, elsewhere, "ukguest-x86_64")
	_, wrong := extract(t, t.TempDir(), "ukguest-x86_64-cfi")
	mem := load(t, dbg, 0)

	empty := imageindex.New(imageindex.Options{})
	refresh(t, empty)
	m, err := empty.Find(ctx, imageindex.Guest{Kernel: boot, Memory: mem})
	if err != nil || m.Debug != beside || !m.Proved {
		t.Errorf("the .dbg beside the kernel: %+v, %v", m, err)
	}
	if m, err = empty.Find(ctx, imageindex.Guest{Kernel: boot}); err != nil || m.Debug != beside || m.Proved {
		t.Errorf("without memory: %+v, %v", m, err)
	}
	plain := filepath.Join(t.TempDir(), "kernel")
	stripped(t, dbg, plain)
	if m, err = empty.Find(ctx, imageindex.Guest{Kernel: plain, Memory: mem}); err != nil || m.Debug != "" || m.Kernel != plain || !m.Proved || m.Hash != hashOf(t, dbg) {
		t.Errorf("a stripped kernel alone: %+v, %v", m, err)
	}

	ix := imageindex.New(imageindex.Options{Dirs: []string{dir}})
	refresh(t, ix)
	if m, err = ix.Find(ctx, imageindex.Guest{Kernel: plain, Memory: mem}); err != nil || m.Debug != dbg || !m.Proved {
		t.Errorf("a stripped kernel whose image is in the index: %+v, %v", m, err)
	}
	// The kernel was built anew under the running guest.
	if m, err = ix.Find(ctx, imageindex.Guest{Kernel: wrong, Memory: mem}); err != nil || m.Debug != dbg || !m.Proved {
		t.Errorf("another kernel file by now: %+v, %v", m, err)
	}
	if m, err = empty.Find(ctx, imageindex.Guest{Kernel: wrong, Memory: mem}); !errors.Is(err, imageindex.ErrUnknown) || m.Hash == "" || m.Proved {
		t.Errorf("another kernel file, and nothing else: %+v, %v", m, err)
	}
}

// What did not change is not read again; what did, is.
func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	_, dbg := extract(t, dir, "ukguest-x86_64")
	_, other := extract(t, t.TempDir(), "ukguest-arm64")
	ix := imageindex.New(imageindex.Options{Dirs: []string{dir}})
	if st := refresh(t, ix); st.Read == 0 || st.Images != 1 {
		t.Fatalf("%+v", st)
	}
	if st := refresh(t, ix); st.Read != 0 || st.Images != 1 {
		t.Errorf("nothing changed: %+v", st)
	}
	data, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dbg, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dbg, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if st := refresh(t, ix); st.Read != 1 || len(ix.Images()) != 1 || ix.Images()[0].Arch != "arm64" {
		t.Errorf("a file was replaced: %+v, %+v", st, ix.Images()[0])
	}
	if err := os.Remove(dbg); err != nil {
		t.Fatal(err)
	}
	if st := refresh(t, ix); st.Images != 0 {
		t.Errorf("the file is gone: %+v", st)
	}
}

// Folders hold much that is no image, and some of it is made to harm.
func TestHostileFolder(t *testing.T) {
	dir := t.TempDir()
	_, dbg := extract(t, dir, "ukguest-x86_64")
	data, err := os.ReadFile(dbg)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"cut":      data[:len(data)/2],
		"head":     data[:64],
		"magic":    append([]byte("\x7fELF\x02\x01\x01"), bytes.Repeat([]byte{0xff}, 4096)...),
		"text":     bytes.Repeat([]byte("no image at all\n"), 100),
		"armmagic": append(make([]byte, 56), []byte("ARM\x64 and nothing else of an image of a kernel")...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mkfifo", filepath.Join(dir, "fifo"))
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dbg, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	deep := dir
	for i := range 40 {
		deep = filepath.Join(deep, fmt.Sprint(i))
	}
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	ix := imageindex.New(imageindex.Options{Dirs: []string{dir, filepath.Join(dir, "missing")}})
	began := time.Now()
	st := refresh(t, ix)
	if st.Images != 1 || len(ix.Images()[0].Files) != 3 { // .dbg, bootable form, link
		t.Errorf("%+v %+v, want one image of three files", st, ix.Images())
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if len(st.Notes) != 2 { // too deep, missing
		t.Errorf("notes %q", st.Notes)
	}
	few := imageindex.New(imageindex.Options{Dirs: []string{dir}, MaxImages: 1})
	if st := refresh(t, few); st.Images != 1 || !slices.ContainsFunc(st.Notes, func(n string) bool { return strings.HasPrefix(n, "more than 1 ") }) {
		t.Errorf("%+v, want the limit told", st)
	}
}
