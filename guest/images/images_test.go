package images_test

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
)

func TestFind(t *testing.T) {
	img, err := images.Find("ukguest-arm64-pie")
	if err != nil {
		t.Fatal(err)
	}
	if want := (images.Image{Name: "ukguest-arm64-pie", Arch: "arm64", Variant: "pie"}); img != want {
		t.Errorf("Find = %+v, want %+v", img, want)
	}
	boot, dbg, err := img.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{boot, dbg} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("extracted %s: %v", path, err)
		}
	}
	if _, err := images.Find("ukguest-vax"); !errors.Is(err, images.ErrUnknown) || !strings.Contains(err.Error(), "ukguest-x86_64") {
		t.Errorf("Find of an unknown image: %v", err)
	}
}

// What a debugger relies on, in every image.
func TestLayout(t *testing.T) {
	const maxBoot, maxDebug = 200 << 10, 700 << 10
	for _, name := range images.Names() {
		t.Run(name, func(t *testing.T) {
			boot, err := images.Boot(name)
			if err != nil {
				t.Fatal(err)
			}
			dbg, err := images.Debug(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(boot) > maxBoot || len(dbg) > maxDebug {
				t.Errorf("%d and %d bytes, more than %d and %d", len(boot), len(dbg), maxBoot, maxDebug)
			}
			f, err := elf.NewFile(bytes.NewReader(dbg))
			if err != nil {
				t.Fatal(err)
			}
			checkSections(t, name, f)
			checkPaths(t, f, dbg)
			if strings.Contains(name, "x86_64") {
				if e, err := elf.NewFile(bytes.NewReader(boot)); err != nil || e.Class != elf.ELFCLASS32 || e.Machine != elf.EM_386 {
					t.Errorf("the bootable file is no ELF32/i386: %v", err)
				}
			}
		})
	}
}

func checkSections(t *testing.T, name string, f *elf.File) {
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	addr := map[string]uint64{}
	for _, s := range symbols {
		addr[s.Name] = s.Value
	}
	for _, name := range []string{"uk_trace_buffer", "uk_trace_buffer_free", "uk_trace_buffer_writep", "uk_sched_head",
		"__uk_sched_thread_current", "ukarch_ctx_switch", "_uk_alloc_head", "bbuddy_palloc", "_uk_crash_explicit", "uk_console_ring"} {
		if addr[name] == 0 {
			t.Errorf("no symbol %s", name)
		}
	}
	end := addr["_end"]
	if strings.HasSuffix(name, "-cfi") {
		end = 0 // lld gives a section that is not loaded no address
	}
	for _, section := range []string{".uk_tracepoints_list", ".uk_trace_keyvals"} {
		s := f.Section(section)
		if s == nil || s.Flags&elf.SHF_ALLOC != 0 || s.Size == 0 {
			t.Errorf("section %s is missing, allocated or empty: %+v", section, s)
			continue
		}
		if s.Addr != end {
			t.Errorf("section %s is at %#x, want %#x", section, s.Addr, end)
		}
	}
	if data, err := f.Section(".uk_trace_keyvals").Data(); err != nil || string(data) != "format_version = 1\x00" {
		t.Errorf("key values %q, %v", data, err)
	}
	if f.Section(".note.gnu.build-id") != nil {
		t.Error("has a build id")
	}
	if frame := f.Section(".debug_frame"); (frame != nil) != (f.Machine == elf.EM_X86_64) {
		t.Errorf(".debug_frame in an image for %v: %v", f.Machine, frame != nil)
	}
}

func checkPaths(t *testing.T, f *elf.File, dbg []byte) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Dir(filepath.Dir(here)), home + "/", os.TempDir() + "/"} {
		if bytes.Contains(dbg, []byte(path)) {
			t.Errorf("holds a path of the build machine: %s", path)
		}
	}
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	units := 0
	for r := d.Reader(); ; r.SkipChildren() {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		units++
		if dir, _ := e.Val(dwarf.AttrCompDir).(string); dir != images.SourcePrefix {
			t.Errorf("unit %v was compiled in %q, want %q", e.Val(dwarf.AttrName), dir, images.SourcePrefix)
		}
	}
	if units < 30 {
		t.Errorf("%d units", units)
	}
}
