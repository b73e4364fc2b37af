package symbolizer_test

import (
	"debug/elf"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// maxFuzz bounds the inputs, so that a run tries many.
const maxFuzz = 256 << 10

// exercise asks an image everything that reads its sections.
func exercise(im *symbolizer.Image) {
	im.ContentHash()
	im.BuildID()
	im.SourceFiles()
	im.SymbolsByPrefix("s")
	_, _ = im.DebugData()
	table, _ := im.CFI()
	for i := range min(table.Len(), 16) {
		_, _ = im.Resolve(table.At(i).Begin)
	}
	_, _ = im.FunctionBreak("serve", true)
	_, _, _ = im.LineAddrs("main.c", 20)
	for _, s := range im.Sections() {
		for a := s.Addr; s.Code() && a < s.Addr+min(s.Size, 512); a += 37 {
			_, _ = im.Resolve(a)
			im.Line(a)
			im.Function(a)
			im.AfterPrologue(a)
			im.TailCalls(a, s.Addr+(a*7)%(s.Size+1))
		}
	}
}

// FuzzImage opens damaged ELF files.
func FuzzImage(f *testing.F) {
	for _, b := range []build{{"", "gcc", "-O2 -g"}, {"", "clang-16", "-O2 -gdwarf-4"}, {"", "gcc", "-O0 -g -gz=zlib"}, {"", "aarch64-linux-gnu-gcc", "-Os -g -Wl,--compress-debug-sections=zstd"}} {
		data, err := os.ReadFile(b.make(f, "main.c", "other.c"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxFuzz {
			return
		}
		if im, err := symbolizer.OpenBytes("fuzz", data); err == nil {
			exercise(im)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %q", err)
		}
	})
}

// TestDamagedDWARF changes bytes of each debug section in turn: whatever comes
// of it, it comes soon and without a panic.
func TestDamagedDWARF(t *testing.T) {
	path := build{"", "clang-16", "-O2 -g"}.make(t, "main.c", "other.c")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rounds := 0
	for _, s := range f.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") && s.Name != ".eh_frame" && s.Name != ".symtab" {
			continue
		}
		for _, v := range []byte{0, 0x7f, 0x80, 0xff} {
			for off := uint64(0); off < s.FileSize; off += 1 + s.FileSize/23 {
				data := append([]byte(nil), whole...)
				for i := range min(uint64(4), s.FileSize-off) {
					data[s.Offset+off+i] = v
				}
				start := time.Now()
				if im, err := symbolizer.OpenBytes("damaged", data); err == nil {
					exercise(im)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("%s+%#x = %#x took %v", s.Name, off, v, d)
				}
				rounds++
			}
		}
	}
	if rounds < 500 {
		t.Errorf("only %d rounds", rounds)
	}
}

func TestGiganticSectionSize(t *testing.T) {
	data, err := os.ReadFile(build{"", "gcc", "-O2 -g -gz=zlib"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(build{"", "gcc", "-O2 -g -gz=zlib"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".debug_info")
	for _, top := range []byte{1, 0x7f, 0xff} { // the claimed size grows to gigabytes and more
		data[s.Offset+11] = top
		im, err := symbolizer.OpenBytes("big", data)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := im.SectionData(".debug_info"); err == nil || len(b) > 0 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
}
