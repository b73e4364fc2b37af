package corefile_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/corefile/coretest"
	"github.com/ukdbg/ukdbg/target"
)

// samePhysical compares a dump's physical memory with what went in.
func samePhysical(t *testing.T, d *corefile.Dump, want []coretest.Segment) {
	t.Helper()
	for _, s := range want {
		got := make([]byte, len(s.Data))
		if err := target.ReadFull(t.Context(), d.Physical(), got, s.Phys); err != nil {
			t.Errorf("%#x: %v", s.Phys, err)
		} else if !bytes.Equal(got, s.Data) {
			t.Errorf("%#x: memory differs", s.Phys)
		}
	}
}

func TestKdump(t *testing.T) {
	m := machine()
	noise := m.Memory[1].Data[0x40000:0x60000]
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32()) & 0x1f
	}
	for _, pack := range []string{"", "zlib", "lzo", "snappy", "zstd"} {
		for _, block := range []int{4096, 65536} {
			for _, flat := range []bool{false, true} {
				file := m.Kdump(coretest.KdumpOptions{Pack: pack, Block: block})
				if flat {
					file = coretest.Flatten(file, 5000)
				}
				d := open(t, file)
				want := "kdump"
				if flat {
					want = "flattened kdump"
				}
				if d.Format() != want || len(d.Notes()) != 1 {
					t.Errorf("%s %d: format %q, notes %q", pack, block, d.Format(), d.Notes())
				}
				samePhysical(t, d, m.Memory)
				buf := make([]byte, 11)
				if err := target.ReadFull(t.Context(), d, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
					t.Errorf("%s %d: virtual memory %q, error %v", pack, block, buf, err)
				}
				if regs, err := d.ReadRegisters(t.Context(), 1); err != nil || regs.PC() != 0x200123 {
					t.Errorf("%s %d: pc %#x, error %v", pack, block, regs.PC(), err)
				}
				var f *target.FaultError
				if n, err := d.Physical().ReadMemory(t.Context(), buf, 1<<20-4); n != 4 || !errors.As(err, &f) || !strings.Contains(f.Why, "no memory") {
					t.Errorf("%s %d: beyond memory: %d bytes, error %v", pack, block, n, err)
				}
			}
		}
	}
}

// TestKdumpReadsNoMore: the first backtrace of a dump must not unpack the rest.
func TestKdumpReadsNoMore(t *testing.T) {
	m := machine()
	r := rand.New(rand.NewPCG(3, 4))
	big := make([]byte, 16<<20)
	for i := range big {
		big[i] = byte(r.Uint32())
	}
	m.Memory = append(m.Memory, coretest.Segment{Phys: 1 << 33, Data: big})
	file := m.Kdump(coretest.KdumpOptions{Pack: "zlib"})
	in := &counting{r: bytes.NewReader(file)}
	d, err := corefile.New(in, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 11)
	if err := target.ReadFull(t.Context(), d, buf, 0x208000); err != nil {
		t.Fatal(err)
	}
	// The bitmaps of 8 GiB have 256 KiB each.
	if in.bytes > 400<<10 {
		t.Errorf("%d of %d bytes read for 11", in.bytes, len(file))
	}
}

type counting struct {
	r     io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.bytes += len(p)
	return c.r.ReadAt(p, off)
}

func TestKdumpLeftOutCutAndDamaged(t *testing.T) {
	m := machine()
	why := func(file []byte, addr uint64) (string, []string) {
		t.Helper()
		d := open(t, file)
		var f *target.FaultError
		if _, err := d.Physical().ReadMemory(t.Context(), make([]byte, 8), addr); err == nil {
			return "", d.Notes()
		} else if !errors.As(err, &f) {
			t.Fatal(err)
		}
		return f.Why, d.Notes()
	}
	without := map[uint64]bool{8: true}
	if got, _ := why(m.Kdump(coretest.KdumpOptions{Without: without, Level: 31}), 0x8000); got != "left out of the dump" {
		t.Errorf("left out: %q", got)
	}
	if got, _ := why(m.Kdump(coretest.KdumpOptions{Without: without, Level: 1}), 0x8000); got != "" {
		t.Errorf("a zero page: %q", got)
	}
	whole := m.Kdump(coretest.KdumpOptions{Pack: "zlib"})
	got, notes := why(whole[:len(whole)-100], 1<<32+0xf000)
	if got != "the dump is cut off before it" || !strings.Contains(strings.Join(notes, "\n"), "cut off") {
		t.Errorf("cut off: %q, notes %q", got, notes)
	}
	if _, notes := why(m.Kdump(coretest.KdumpOptions{Status: 8}), 1<<40); !strings.Contains(strings.Join(notes, "\n"), "not written to its end") {
		t.Errorf("incomplete: notes %q", notes)
	}
	flat := coretest.Flatten(whole, 1<<16)
	if _, notes := why(flat[:len(flat)-16], 1<<40); !strings.Contains(strings.Join(notes, "\n"), "no end mark") {
		t.Errorf("flattened without its end: notes %q", notes)
	}
	if _, notes := why(flat, 1<<40); strings.Contains(strings.Join(notes, "\n"), "no end mark") {
		t.Errorf("flattened with its end: notes %q", notes)
	}
	// LZO has no checksum.
	for _, pack := range []string{"zlib", "snappy", "zstd"} {
		file := m.Kdump(coretest.KdumpOptions{Pack: pack})
		n := len(file) - 20 // in the last page, "high" over and over
		for i := n; i < len(file); i++ {
			file[i] ^= 0x55
		}
		if got, _ := why(file, 1<<32+0xf000); !strings.Contains(got, "damaged") {
			t.Errorf("%s damaged: %q", pack, got)
		}
	}
}

// TestKdumpLies: sizes a file claims cost neither memory nor time.
func TestKdumpLies(t *testing.T) {
	whole := machine().Kdump(coretest.KdumpOptions{})
	le := binary.LittleEndian
	for name, lie := range map[string]func([]byte){
		"bitmaps of 16 TiB": func(b []byte) { le.PutUint32(b[436:], 0xffffffff) },
		"blocks of 2 GiB":   func(b []byte) { le.PutUint32(b[428:], 1<<31) },
		"blocks of 0":       func(b []byte) { le.PutUint32(b[428:], 0) },
		"notes of 4 GiB":    func(b []byte) { le.PutUint64(b[4096+56:], 1<<32) },
		"a split file":      func(b []byte) { le.PutUint32(b[4096+12:], 1) },
		"another machine":   func(b []byte) { copy(b[272:], "s390x\x00\x00") },
	} {
		file := bytes.Clone(whole)
		lie(file)
		began := time.Now()
		if _, err := corefile.New(bytes.NewReader(file), int64(len(file))); !errors.Is(err, corefile.ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestLZO(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		page := make([]byte, 1+r.IntN(9000))
		for i := 0; i < len(page); {
			c, n := byte(r.Uint32()), 1
			if r.IntN(3) == 0 {
				n = r.IntN(1200)
			}
			for ; n > 0 && i < len(page); n-- {
				page[i] = c
				i++
			}
		}
		got, err := corefile.UnpackLZO(coretest.LZO(page), len(page))
		if err != nil || !bytes.Equal(got, page) {
			t.Fatalf("%d bytes: error %v", len(page), err)
		}
	}
	// Each kind of instruction, by hand from Documentation/staging/lzo.rst.
	for _, tt := range []struct {
		name, packed, want string
	}{
		{"literals first", "\x15abcd\x11\x00\x00", "abcd"},
		{"three bytes at most 2 KiB back", "\x15abcd\x6c\x00\x11\x00\x00", "abcdabcd"},
		{"five to eight bytes", "\x15abcd\xec\x00\x11\x00\x00", "abcdabcdabcd"},
		{"trailing literals and two bytes", "\x15abcd\x6d\x00x\x00\x00\x11\x00\x00", "abcdabcdxxx"},
		{"16 KiB back", "\x15abcd\x22\x0c\x00\x11\x00\x00", "abcdabcd"},
		{"overlapping", "\x12a\x2c\x00\x00\x11\x00\x00", "aaaaaaaaaaaaaaa"},
	} {
		if got, err := corefile.UnpackLZO([]byte(tt.packed), 64); err != nil || string(got) != tt.want {
			t.Errorf("%s: %q, error %v, want %q", tt.name, got, err, tt.want)
		}
	}
	for _, bad := range []string{"", "\x15abc", "\x15abcd", "\x15abcd\x2c\xff\xff\x11\x00\x00", "\x00" + strings.Repeat("\x00", 1<<20), "\x15abcd\x20\x00\x00\x00\x00\x00\x00\x11"} {
		if got, err := corefile.UnpackLZO([]byte(bad), 64); err == nil {
			t.Errorf("%.20q gave %q", bad, got)
		}
	}
}

func FuzzLZO(f *testing.F) {
	f.Add([]byte("\x15abcd\x6d\x00x\x00\x00\x11\x00\x00"))
	f.Add(coretest.LZO(bytes.Repeat([]byte("ab\x00\x00"), 500)))
	f.Fuzz(func(t *testing.T, packed []byte) {
		if got, err := corefile.UnpackLZO(packed, 4096); err == nil && len(got) > 4096 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// small is a machine whose dumps are small enough to be fuzzed.
func small(machine elf.Machine) coretest.Dump {
	page := make([]byte, 4096)
	binary.LittleEndian.PutUint64(page, 0x1003)
	c := coretest.CPU{X86: map[string]uint64{"rip": 0x1000, "rsp": 0x1100, "cs": 8, "cr0": 1<<31 | 1, "cr3": 0x1000, "cr4": 0x20},
		ARM64: map[string]uint64{"pc": 0x1000, "sp": 0x1100, "cpsr": 5, "SCTLR_EL1": 1, "TCR_EL1": 0x19 | 0x19<<16 | 2<<30, "TTBR0_EL1": 0x1000}}
	return coretest.Dump{Machine: machine, CPUs: []coretest.CPU{c}, Memory: []coretest.Segment{{Phys: 0x1000, Data: page}}}
}

// explore reads whatever a dump has, for a panic, an endless loop or an error
// without a reason.
func explore(t *testing.T, file []byte, opt corefile.Options) {
	if len(file) > 64<<10 {
		return
	}
	d, err := corefile.NewWith(bytes.NewReader(file), int64(len(file)), opt)
	if err != nil {
		return
	}
	defer d.Close()
	ctx := t.Context()
	cpus, _ := d.CPUs(ctx)
	buf := make([]byte, 4096)
	for _, cpu := range cpus[:min(len(cpus), 8)] {
		regs, err := d.ReadRegisters(ctx, cpu)
		if err != nil {
			t.Errorf("CPU %d of its own list: %v", cpu, err)
		}
		_, _ = d.ReadSystemRegisters(ctx, cpu)
		v, err := d.Virtual(cpu)
		if err != nil {
			t.Errorf("CPU %d of its own list: %v", cpu, err)
			continue
		}
		for _, addr := range []uint64{regs.SP(), regs.PC(), 0, ^uint64(0) - 100} {
			if n, err := v.ReadMemory(ctx, buf, addr); n < len(buf) && err == nil {
				t.Errorf("%#x: %d bytes and no error", addr, n)
			}
		}
	}
	_, _ = d.Slide(0x1000)
	_ = d.Notes()
	for _, addr := range []uint64{0x1000, ^uint64(0) - 10} {
		if n, err := d.ReadMemory(ctx, buf, addr); n < len(buf) && err == nil {
			t.Errorf("%#x: %d bytes and no error", addr, n)
		}
		if d.Physical() != nil {
			_, _ = d.Physical().ReadMemory(ctx, buf, addr)
		}
	}
}

func FuzzKdump(f *testing.F) {
	for _, pack := range []string{"", "zlib", "lzo", "snappy", "zstd"} {
		f.Add(small(elf.EM_X86_64).Kdump(coretest.KdumpOptions{Pack: pack, VMCoreInfo: "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=1000\n"}))
	}
	f.Add(small(elf.EM_AARCH64).Kdump(coretest.KdumpOptions{Pack: "zlib", NoMachine: true}))
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{}) })
}

func FuzzFlattened(f *testing.F) {
	f.Add(coretest.Flatten(small(elf.EM_X86_64).Kdump(coretest.KdumpOptions{Pack: "lzo"}), 1000))
	f.Add(coretest.Flatten(small(elf.EM_AARCH64).Bytes(), 700))
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{}) })
}
