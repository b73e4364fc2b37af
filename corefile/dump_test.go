package corefile_test

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/corefile/coretest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// machine is an x86 guest of 1 MiB at 0 and 64 KiB at 4 GiB, whose second 2 MiB
// of virtual memory are its first physical ones.
func machine() coretest.Dump {
	low, high := make([]byte, 1<<20), bytes.Repeat([]byte("high"), 16<<10)
	word := func(at, v uint64) { binary.LittleEndian.PutUint64(low[at:], v) }
	word(0x1000, 0x2003)            // PML4 → PDPT
	word(0x2000, 0x3003)            // PDPT → PD
	word(0x3000+8*1, 0x83)          // 0x200000 → 0, 2 MiB
	word(0x3000+8*2, 0x4003)        // 0x400000 → PT
	word(0x4000, 0x1_0000_0000|1)   // 0x400000 → 4 GiB
	word(0x4000+8, 0x7_0000_0000|1) // 0x401000 → no RAM
	copy(low[0x8000:], "hello, dump")
	return coretest.Dump{
		Machine: elf.EM_X86_64,
		CPUs: []coretest.CPU{
			{X86: map[string]uint64{"rip": 0xfff0, "cr0": 0x10}}, // not started
			{X86: map[string]uint64{"rax": 1, "rbx": 2, "rcx": 3, "rdx": 4, "rsi": 5, "rdi": 6, "rbp": 7, "rsp": 0x208000,
				"r8": 8, "r15": 15, "rip": 0x200123, "eflags": 0x246, "cs": 8, "ss": 16, "fs_base": 0x77, "gs_base": 0x88,
				"cr0": 0x80010011, "cr2": 0xdead, "cr3": 0x1000, "cr4": 0x20, "k_gs_base": 0x99}},
		},
		Memory: []coretest.Segment{{Phys: 1 << 32, Data: high}, {Phys: 0, Data: low}},
	}
}

func open(t testing.TB, file []byte) *corefile.Dump {
	t.Helper()
	d, err := corefile.New(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestX86Dump(t *testing.T) {
	d := open(t, machine().Bytes())
	ctx := t.Context()
	if cpus, err := d.CPUs(ctx); err != nil || len(cpus) != 2 || d.Arch() != arch.X86_64 {
		t.Fatalf("CPUs %v of %s, error %v", cpus, d.Arch().Name, err)
	}
	regs, err := d.ReadRegisters(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"rax": 1, "rbx": 2, "rcx": 3, "rdx": 4, "rsi": 5, "rdi": 6, "rbp": 7, "rsp": 0x208000,
		"r8": 8, "r9": 0, "r15": 15, "rip": 0x200123, "eflags": 0x246, "cs": 8, "ss": 16, "fs_base": 0x77, "gs_base": 0x88} {
		if got, ok := regs.Named(name); !ok || got != want {
			t.Errorf("%s = %#x (known: %v), want %#x", name, got, ok, want)
		}
	}
	sys, err := d.ReadSystemRegisters(ctx, 1)
	if err != nil || binary.LittleEndian.Uint64(sys["cr2"]) != 0xdead || binary.LittleEndian.Uint64(sys["k_gs_base"]) != 0x99 {
		t.Errorf("system registers %v, error %v", sys, err)
	}
	buf := make([]byte, 11)
	// CPU 0 has its paging off, so the dump's memory is that of CPU 1.
	if err := target.ReadFull(ctx, d, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("virtual memory: %q, error %v", buf, err)
	}
	if err := target.ReadFull(ctx, d, buf[:4], 0x400ffc); err != nil || string(buf[:4]) != "high" {
		t.Errorf("above 4 GiB: %q, error %v", buf[:4], err)
	}
	if err := target.ReadFull(ctx, d.Physical(), buf, 0x8000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("physical memory: %q, error %v", buf, err)
	}
	v0, err := d.Virtual(0)
	if err != nil || target.ReadFull(ctx, v0, buf, 0x8000) != nil || string(buf) != "hello, dump" {
		t.Errorf("CPU 0 without paging: %q, error %v", buf, err)
	}
	if notes := strings.Join(d.Notes(), "\n"); !strings.Contains(notes, "CPU 0: virtual addresses are taken as physical ones: paging is off") || strings.Contains(notes, "CPU 1") {
		t.Errorf("notes %q", notes)
	}
	for addr, why := range map[uint64]string{0x600000: "not present", 0x401000: "no memory of the guest", 1 << 60: "canonical"} {
		var f *target.FaultError
		if n, err := d.ReadMemory(ctx, buf, addr); n != 0 || !errors.As(err, &f) || f.Addr != addr || !strings.Contains(f.Why, why) {
			t.Errorf("%#x: %d bytes, error %v, want %q", addr, n, err, why)
		}
	}
	if n, err := d.Physical().ReadMemory(ctx, buf, 1<<20-4); n != 4 || err == nil {
		t.Errorf("at the end of RAM: %d bytes, error %v", n, err)
	}
	if _, err := d.ReadRegisters(ctx, 2); err == nil {
		t.Error("CPU 2 was found")
	}
}

func TestWithoutQEMUNote(t *testing.T) {
	m := machine()
	for i := range m.CPUs {
		m.CPUs[i].NoQEMUNote = true
	}
	d := open(t, m.Bytes())
	regs, err := d.ReadRegisters(t.Context(), 1)
	if rip, ok := regs.Named("rip"); err != nil || !ok || rip != 0x200123 {
		t.Errorf("rip %#x, error %v", rip, err)
	}
	if sys, err := d.ReadSystemRegisters(t.Context(), 1); err != nil || len(sys) != 0 {
		t.Errorf("system registers out of nowhere: %v", sys)
	}
	if !strings.Contains(strings.Join(d.Notes(), "\n"), "does not say where the page tables are") {
		t.Errorf("notes %q", d.Notes())
	}
}

func TestARM64Dump(t *testing.T) {
	ram := make([]byte, 1<<20)
	copy(ram[0x5000:], "arm")
	binary.LittleEndian.PutUint64(ram[0x2000:], 0x4000_3003) // level 1 → level 2
	binary.LittleEndian.PutUint64(ram[0x3000:], 0x4000_0401) // block of 2 MiB
	d := open(t, coretest.Dump{Machine: elf.EM_AARCH64,
		CPUs:   []coretest.CPU{{ARM64: map[string]uint64{"x0": 10, "x30": 30, "sp": 0x40005000, "pc": 0x40001000, "cpsr": 0x3c5}}},
		Memory: []coretest.Segment{{Phys: 0x4000_0000, Data: ram}}}.Bytes())
	regs, err := d.ReadRegisters(t.Context(), 0)
	if err != nil || regs.PC() != 0x40001000 || regs.SP() != 0x40005000 {
		t.Errorf("pc %#x sp %#x, error %v", regs.PC(), regs.SP(), err)
	}
	for name, want := range map[string]uint64{"x0": 10, "x30": 30, "cpsr": 0x3c5} {
		if got, ok := regs.Named(name); !ok || got != want {
			t.Errorf("%s = %#x, want %#x", name, got, want)
		}
	}
	buf := make([]byte, 3)
	if err := target.ReadFull(t.Context(), d, buf, 0x40005000); err != nil || string(buf) != "arm" {
		t.Errorf("identity: %q, error %v", buf, err)
	}
	if len(d.Notes()) != 1 || !strings.Contains(d.Notes()[0], "no TTBR") {
		t.Errorf("notes %q", d.Notes())
	}
	root, err := mmu.ARM64(25|25<<16|2<<30, 0x40002000, 0x40002000)
	if err != nil {
		t.Fatal(err)
	}
	d.UseRoot(root)
	if err := target.ReadFull(t.Context(), d, buf, 0xffff_ff80_0000_5000); err != nil || string(buf) != "arm" {
		t.Errorf("through page tables: %q, error %v", buf, err)
	}
}

func Test32BitProcessor(t *testing.T) {
	m := machine()
	m.CPUs[1].Bits32 = true
	d := open(t, m.Bytes())
	v, err := d.Virtual(1)
	if err != nil {
		t.Fatal(err)
	}
	var f *target.FaultError
	if _, err := v.ReadMemory(t.Context(), make([]byte, 1), 0x208000); !errors.As(err, &f) || !strings.Contains(f.Why, "64-bit") {
		t.Errorf("error %v", err)
	}
}

func TestCompressed(t *testing.T) {
	plain := machine().Bytes()
	var gz, zs bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write(plain)
	_ = w.Close()
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(plain)
	_ = z.Close()
	for name, file := range map[string][]byte{"gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		d := open(t, file)
		got, want := make([]byte, 1<<20), make([]byte, 1<<20)
		if err := target.ReadFull(t.Context(), d.Physical(), got, 0); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = target.ReadFull(t.Context(), open(t, plain).Physical(), want, 0)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: memory differs", name)
		}
	}
	// A stream that broke off is used as far as it goes.
	d := open(t, gz.Bytes()[:gz.Len()-12])
	buf := make([]byte, 4)
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 1<<32); err != nil || string(buf) != "high" {
		t.Errorf("broken gzip: %q, error %v", buf, err)
	}
}

func TestCutOffFile(t *testing.T) {
	plain := machine().Bytes()
	d := open(t, plain[:len(plain)-(1<<20)+0x9000])
	buf := make([]byte, 11)
	if err := target.ReadFull(t.Context(), d, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("what is there: %q, error %v", buf, err)
	}
	var f *target.FaultError
	if _, err := d.ReadMemory(t.Context(), buf, 0x209000); !errors.As(err, &f) || !strings.Contains(f.Why, "cut off") {
		t.Errorf("what is not: error %v", err)
	}
	if !strings.Contains(strings.Join(d.Notes(), "\n"), "cut off") {
		t.Errorf("notes %q", d.Notes())
	}
}

func TestLeftOutAndOverlapping(t *testing.T) {
	d := open(t, coretest.Dump{Machine: elf.EM_X86_64, Memory: []coretest.Segment{
		{Phys: 0x1000, Data: []byte("aaaa"), Mem: 0x1000},
		{Phys: 0x2000, Data: bytes.Repeat([]byte("b"), 16)},
		{Phys: 0x2008, Data: bytes.Repeat([]byte("c"), 16)},
		{Phys: ^uint64(0) - 3, Data: []byte("wxyz")},
	}}.Bytes())
	buf := make([]byte, 24)
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 0x2000); err != nil || string(buf) != strings.Repeat("b", 16)+strings.Repeat("c", 8) {
		t.Errorf("overlap: %q, error %v", buf, err)
	}
	var f *target.FaultError
	if n, err := d.Physical().ReadMemory(t.Context(), buf, 0x1002); n != 2 || !errors.As(err, &f) || f.Why != "left out of the dump" {
		t.Errorf("left out: %d bytes, error %v", n, err)
	}
	if n, err := d.Physical().ReadMemory(t.Context(), buf[:4], ^uint64(0)-3); n != 4 || err != nil || string(buf[:4]) != "wxyz" {
		t.Errorf("top of the address space: %d bytes, error %v", n, err)
	}
	if n, err := d.Physical().ReadMemory(t.Context(), buf, ^uint64(0)-3); n != 4 || err == nil {
		t.Errorf("beyond it: %d bytes, error %v", n, err)
	}
}

func TestNotADump(t *testing.T) {
	elf32 := machine().Bytes()
	elf32[4] = 1
	exec := machine().Bytes()
	exec[16] = byte(elf.ET_EXEC)
	riscv := machine().Bytes()
	riscv[18] = byte(elf.EM_RISCV)
	for want, file := range map[string][]byte{
		"has 13 bytes":           []byte("what is this?"),
		"looks like text":        bytes.Repeat([]byte("no dump at all\n"), 20),
		"has 2 bytes":            []byte("hm"),
		"a zip archive":          []byte("PK\x03\x04\x14\x00"),
		"not a 64-bit":           elf32,
		"goes after -e":          exec,
		"EM_RISCV":               riscv,
		"a flattened dump of ne": []byte("makedumpfile\x00\x00\x00\x00"),
		"is a kdump file":        []byte("KDUMP   \x06\x00\x00\x00"),
		"before its program":     machine().Bytes()[:100],
		"has no memory":          coretest.Dump{Machine: elf.EM_X86_64}.Bytes(),
		"no gzip file in spite":  {0x1f, 0x8b, 1, 2, 3},
		"shorter than an ELF he": []byte("\x7fELF\x02\x01\x01"),
	} {
		if _, err := corefile.New(bytes.NewReader(file), int64(len(file))); !errors.Is(err, corefile.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := corefile.Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := corefile.Open(dir); !errors.Is(err, corefile.ErrFormat) {
		t.Errorf("a folder: error %v", err)
	}
	path := filepath.Join(dir, "x.dump")
	if err := os.WriteFile(path, machine().Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := corefile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// A file that fails is no hole in the guest.
	var f *target.FaultError
	if _, err := d.ReadMemory(t.Context(), make([]byte, 1), 0x208000); err == nil || errors.As(err, &f) {
		t.Errorf("closed file: error %v", err)
	}
}

// TestZerosTakeNoMemory: zero pages of a compressed dump are not kept.
func TestZerosTakeNoMemory(t *testing.T) {
	head := coretest.Dump{Machine: elf.EM_X86_64, Memory: []coretest.Segment{{Data: []byte("start"), Mem: 5}}}.Bytes()
	const zeros = 128 << 20
	binary.LittleEndian.PutUint64(head[64+56+32:], zeros)
	binary.LittleEndian.PutUint64(head[64+56+40:], zeros)
	var zs bytes.Buffer
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(head)
	_, _ = io.CopyN(z, zeroReader{}, zeros)
	_ = z.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := open(t, zs.Bytes())
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d MiB of zeros took %d bytes", zeros>>20, grown)
	}
	buf := make([]byte, 5)
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 0); err != nil || string(buf) != "start" {
		t.Errorf("start: %q, error %v", buf, err)
	}
	if err := target.ReadFull(t.Context(), d.Physical(), buf, zeros-5); err != nil || string(buf) != "\x00\x00\x00\x00\x00" {
		t.Errorf("end: %q, error %v", buf, err)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzNew(f *testing.F) {
	small := coretest.Dump{Machine: elf.EM_X86_64, CPUs: machine().CPUs, Memory: []coretest.Segment{{Phys: 0x1000, Data: []byte("\x03\x20\x00\x00\x00\x00\x00\x00")}}}
	f.Add(small.Bytes())
	small.Machine = elf.EM_AARCH64
	f.Add(small.Bytes())
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 4, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{}) })
}
