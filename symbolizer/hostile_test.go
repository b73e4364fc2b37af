package symbolizer_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// Bounds on what a hostile file may cost.
const (
	hostileTime   = time.Second
	hostileMemory = 64 << 20
)

// within runs f and fails the test if that takes more processor time than
// hostileTime, which other programs on the machine do not add to, or allocates
// more than hostileMemory in all.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	runtime.GC() // of what came before
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime(t)
	f()
	took := processorTime(t) - start
	runtime.ReadMemStats(&after)
	if took > hostileTime {
		t.Errorf("%s: took %v", what, took)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > hostileMemory {
		t.Errorf("%s: allocated %d MiB", what, n>>20)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// section is one section of a file made by hand.
type section struct {
	name  string
	data  []byte
	flags elf.SectionFlag
}

const handText = 0x400000

// byHand makes an image with 4 KiB of code at handText and the sections.
func byHand(sections ...section) []byte {
	all := append([]section{{}, {".text", make([]byte, 4096), elf.SHF_ALLOC | elf.SHF_EXECINSTR}}, sections...)
	var names bytes.Buffer
	all = append(all, section{name: ".shstrtab"})
	var body bytes.Buffer
	body.Write(make([]byte, 64))
	type header struct{ name, off, size uint64 }
	var heads []header
	for i := range all {
		at := uint64(names.Len())
		names.WriteString(all[i].name + "\x00")
		if i == len(all)-1 {
			all[i].data = names.Bytes()
		}
		heads = append(heads, header{at, uint64(body.Len()), uint64(len(all[i].data))})
		body.Write(all[i].data)
	}
	le := binary.LittleEndian
	shoff := uint64(body.Len())
	out := body.Bytes()
	for i, h := range heads {
		typ, addr := elf.SHT_PROGBITS, uint64(0)
		if i == 0 {
			typ = elf.SHT_NULL
		}
		if all[i].flags&elf.SHF_ALLOC != 0 {
			addr = handText
		}
		out = le.AppendUint32(out, uint32(h.name))
		out = le.AppendUint32(out, uint32(typ))
		for _, v := range []uint64{uint64(all[i].flags), addr, h.off, h.size, 0, 1, 0} {
			out = le.AppendUint64(out, v)
		}
	}
	copy(out, "\x7fELF\x02\x01\x01")
	le.PutUint16(out[16:], uint16(elf.ET_EXEC))
	le.PutUint16(out[18:], uint16(elf.EM_X86_64))
	le.PutUint64(out[40:], shoff)
	le.PutUint16(out[58:], 64)
	le.PutUint16(out[60:], uint16(len(heads)))
	le.PutUint16(out[62:], uint16(len(heads)-1))
	return out
}

// unit4 puts a header of DWARF 4 before entries.
func unit4(entries []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(7+len(entries)))
	return append(append(b, 4, 0, 0, 0, 0, 0, 8), entries...)
}

func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
func cat(parts ...[]byte) []byte {
	return bytes.Join(parts, nil)
}

// Abbreviations: 1 a unit with a range, 2 a function with low, high and an origin,
// 3 the same inlined, 4 a block with children, 5 a function with a range list.
var handAbbrevs = cat(
	[]byte{1, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0},
	[]byte{2, 0x2e, 1, 0x11, 0x01, 0x12, 0x07, 0x31, 0x13, 0, 0},
	[]byte{3, 0x1d, 1, 0x11, 0x01, 0x12, 0x07, 0x31, 0x13, 0, 0},
	[]byte{4, 0x0b, 1, 0, 0},
	[]byte{5, 0x2e, 0, 0x55, 0x17, 0, 0},
	[]byte{0},
)

func handUnit(entries ...[]byte) []byte {
	return unit4(cat(append([][]byte{{1}, u64(handText), u64(4096)}, entries...)...))
}

func hostile() map[string][]byte {
	out := map[string][]byte{}
	dwarf := func(name string, info []byte, more ...section) {
		out[name] = byHand(append([]section{{name: ".debug_info", data: info}, {name: ".debug_abbrev", data: handAbbrevs}}, more...)...)
	}
	fn := func(kind byte, origin uint32) []byte { return cat([]byte{kind}, u64(handText), u64(64), u32(origin)) }

	const first = 11 + 17 // offset of the first entry in a unit
	dwarf("origin of itself", handUnit(fn(2, first), []byte{0, 0}))
	dwarf("origins in a circle", handUnit(fn(2, first+22), []byte{0}, fn(2, first), []byte{0, 0}))
	dwarf("origin is the unit", handUnit(fn(2, 11), []byte{0, 0}))
	dwarf("origin in the middle", handUnit(fn(2, first+5), []byte{0, 0}))
	dwarf("inlined 20,000 deep", handUnit(fn(2, first), bytes.Repeat(fn(3, first), 20000)))
	dwarf("blocks 500,000 deep", handUnit(fn(2, first), bytes.Repeat([]byte{4}, 500000)))
	dwarf("20,000 functions at one address", handUnit(bytes.Repeat(append(fn(2, first), 0), 20000)))
	dwarf("500,000 empty functions", handUnit(fn(2, first), bytes.Repeat([]byte{5, 0, 0, 0, 0}, 100000)), section{name: ".debug_ranges", data: make([]byte, 16)})
	// Each function has the list from its own place on, which has only empty
	// ranges.
	long := bytes.Repeat(cat(u64(1), u64(1)), 10000)
	var each [][]byte
	for i := range uint32(20000) {
		each = append(each, []byte{5}, u32(i%1000*16))
	}
	dwarf("many functions of long lists", handUnit(each...), section{name: ".debug_ranges", data: long})
	whole := bytes.Repeat(cat(u64(0), u64(64)), 10000)
	dwarf("many functions of many ranges", handUnit(each...), section{name: ".debug_ranges", data: cat(u64(1), u64(2), whole)})
	dwarf("100,000 units", bytes.Repeat(unit4(cat([]byte{1}, u64(handText), u64(4096))), 20000))
	dwarf("unit of 2^32-17 bytes", cat(u32(0xffffffef), []byte{4, 0}, u32(0), []byte{8, 1}))
	dwarf("unit of 2^63 bytes", cat(u32(0xffffffff), u64(1<<63), []byte{4, 0}))
	dwarf("aranges that cover all", handUnit(fn(2, first), []byte{0, 0}), section{name: ".debug_aranges",
		data: bytes.Repeat(cat(u32(44), []byte{2, 0}, u32(0), []byte{8, 0}, u32(0), u64(0), u64(^uint64(0)), u64(0), u64(0)), 20000)})

	wide := []byte{1, 0x11, 1}
	wide = append(wide, bytes.Repeat([]byte{0x3f, 0x19}, 100000)...) // flags that are present, without a byte in the entry
	wide = append(wide, 0, 0)
	function := []byte{2, 0x2e, 0}
	function = append(function, bytes.Repeat([]byte{0x3f, 0x19}, 100000)...)
	function = append(function, 0, 0, 0)
	out["attributes without bytes"] = byHand(
		section{name: ".debug_info", data: unit4(cat([]byte{1}, bytes.Repeat([]byte{2}, 100000)))},
		section{name: ".debug_abbrev", data: append(wide, function...)})
	out["a million abbreviations"] = byHand(
		section{name: ".debug_info", data: handUnit(fn(2, first), []byte{0, 0})},
		section{name: ".debug_abbrev", data: cat(handAbbrevs[:len(handAbbrevs)-1], bytes.Repeat([]byte{0x86, 0x80, 0x80, 0x80, 0x08, 0x0b, 0, 0, 0}, 100000), []byte{0})})

	withLines := cat([]byte{1, 0x11, 0, 0x10, 0x17, 0x11, 0x01, 0x12, 0x07, 0, 0, 0})
	lines := func(name string, program []byte) {
		out[name] = byHand(
			section{name: ".debug_info", data: unit4(cat([]byte{1}, u32(0), u64(handText), u64(4096)))},
			section{name: ".debug_abbrev", data: withLines},
			section{name: ".debug_line", data: program})
	}
	head := func(program []byte) []byte {
		h := []byte{1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0}
		return cat(u32(uint32(6+len(h)+len(program))), []byte{4, 0}, u32(uint32(len(h))), h, program)
	}
	at := cat([]byte{0, 9, 2}, u64(handText))
	lines("300,000 rows at one address", head(cat(at, bytes.Repeat([]byte{1}, 300000), []byte{2, 4, 0, 1, 1})))
	lines("rows backwards", head(cat(at, bytes.Repeat(append(cat([]byte{0, 9, 2}, u64(handText+8)), 1, 0, 9, 2, 0, 0, 0x40, 0, 0, 0, 0, 0, 1), 20000), []byte{2, 0x80, 1, 0, 1, 1})))
	lines("20,000 sequences that overlap", head(bytes.Repeat(cat(at, []byte{1, 2, 0x80, 0x20, 0, 1, 1}), 20000)))
	lines("a million files", head(cat(at, bytes.Repeat([]byte{0, 5, 3, 'x', 0, 0, 0}, 100000))))
	five := func(tables []byte) []byte {
		h := cat([]byte{1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1}, tables)
		return cat(u32(uint32(8+len(h))), []byte{5, 0, 8, 0}, u32(uint32(len(h))), h)
	}
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	lines("2^63 folders without a byte each", five(cat([]byte{1, 1, 0x21}, huge, make([]byte, 100))))
	lines("2^63 folders of nothing", five(cat([]byte{0}, huge)))
	lines("2^63 folders", five(cat([]byte{1, 1, 8}, huge, make([]byte, 1000))))

	frames := func(name string, data []byte) {
		out[name] = byHand(section{name: ".eh_frame", data: data, flags: 0}, section{name: ".debug_info", data: handUnit(fn(2, first), []byte{0, 0})}, section{name: ".debug_abbrev", data: handAbbrevs}, section{name: ".debug_frame", data: data})
	}
	cie := cat(u32(13), u32(0xffffffff), []byte{1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0})
	fde := cat(u32(20), u32(0), u64(handText), u64(4096))
	frames("20,000 frames of one place", cat(cie, bytes.Repeat(fde, 20000)))
	remember := cat(u32(20+200000), u32(0), u64(handText), u64(4096), bytes.Repeat([]byte{0x0a}, 200000))
	frames("200,000 rows remembered", cat(cie, remember))
	return out
}

// TestHostileFiles: files made to loop, to nest, and to claim what they have not,
// cost little.
func TestHostileFiles(t *testing.T) {
	for name, data := range hostile() {
		t.Run(name, func(t *testing.T) {
			within(t, fmt.Sprintf("%d KiB", len(data)>>10), func() {
				im, err := symbolizer.OpenBytes("hostile", data)
				if err != nil {
					t.Logf("refused: %v", err)
					return
				}
				exercise(im)
			})
		})
	}
}

// TestTruncatedSections cuts each section short, one at a time.
func TestTruncatedSections(t *testing.T) {
	dir := splitBuild(t, "gcc", "-O2 -gdwarf-5 -gsplit-dwarf", "main.c", "other.c")
	run(t, dir, "llvm-dwp-16", "-o", "whole.dwp", "main.dwo", "other.dwo")
	split, err := os.ReadFile(filepath.Join(dir, "whole.dwp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main.dwo", "other.dwo"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "out")
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(build{"", "clang-16", "-O2 -gdwarf-4"}.make(t, "main.c", "other.c"))
	if err != nil {
		t.Fatal(err)
	}
	rounds := 0
	cut := func(data []byte, open func([]byte) (*symbolizer.Image, error)) {
		t.Helper()
		le := binary.LittleEndian
		shoff, n := le.Uint64(data[40:]), int(le.Uint16(data[60:]))
		strs := data[le.Uint64(data[shoff+uint64(le.Uint16(data[62:]))*64+24:]):]
		for i := 1; i < n; i++ {
			h := shoff + uint64(i)*64
			name := string(strs[le.Uint32(data[h:]):][:40])
			name, _, _ = strings.Cut(name, "\x00")
			size := le.Uint64(data[h+32:])
			if !strings.HasPrefix(name, ".debug_") && name != ".eh_frame" && name != ".symtab" && name != ".strtab" {
				continue
			}
			for k := range uint64(8) {
				short := bytes.Clone(data)
				le.PutUint64(short[h+32:], size*k/8+k%3)
				within(t, fmt.Sprintf("%s cut to %d of %d", name, size*k/8+k%3, size), func() {
					im, err := open(short)
					if err != nil {
						return
					}
					defer im.Close()
					exercise(im)
				})
				rounds++
			}
		}
	}
	memory := func(b []byte) (*symbolizer.Image, error) { return symbolizer.OpenBytes("cut", b) }
	cut(plain, memory)
	cut(image, memory)
	cut(split, func(b []byte) (*symbolizer.Image, error) {
		if err := os.WriteFile(path+".dwp", b, 0o644); err != nil {
			t.Fatal(err)
		}
		return symbolizer.Open(path)
	})
	if rounds < 150 {
		t.Errorf("only %d rounds", rounds)
	}
}
