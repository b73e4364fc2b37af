package corefile_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/corefile/coretest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// mustBe opens a dump of machine() and compares it.
func mustBe(t *testing.T, format string, file []byte, opt corefile.Options) *corefile.Dump {
	t.Helper()
	d, err := corefile.NewWith(bytes.NewReader(file), int64(len(file)), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if d.Format() != format {
		t.Errorf("format %q, want %q", d.Format(), format)
	}
	samePhysical(t, d, machine().Memory)
	regs, err := d.ReadRegisters(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"rax": 1, "rbx": 2, "rcx": 3, "rdx": 4, "rsi": 5, "rdi": 6, "rbp": 7, "rsp": 0x208000,
		"r8": 8, "r9": 0, "r15": 15, "rip": 0x200123, "eflags": 0x246, "cs": 8, "ss": 16, "fs_base": 0x77, "gs_base": 0x88} {
		if got, ok := regs.Named(name); !ok || got != want {
			t.Errorf("%s = %#x (known: %v), want %#x", name, got, ok, want)
		}
	}
	buf := make([]byte, 11)
	if err := target.ReadFull(t.Context(), d, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("virtual memory: %q, error %v", buf, err)
	}
	return d
}

func TestXen(t *testing.T) {
	d := mustBe(t, "Xen core of an HVM or PVH guest", machine().Xen(coretest.XenOptions{}), corefile.Options{})
	if sys, err := d.ReadSystemRegisters(t.Context(), 1); err != nil || binary.LittleEndian.Uint64(sys["k_gs_base"]) != 0x99 {
		t.Errorf("system registers %v, error %v", sys, err)
	}
	whole := machine().Xen(coretest.XenOptions{})
	d = open(t, whole[:len(whole)-4096])
	var f *target.FaultError
	if _, err := d.Physical().ReadMemory(t.Context(), make([]byte, 4), 0xff000); !errors.As(err, &f) || !strings.Contains(f.Why, "cut off") {
		t.Errorf("cut off: %v", err)
	}
}

// TestXenPV: a paravirtual guest's page tables hold machine frames, its addresses
// are of its own.
func TestXenPV(t *testing.T) {
	m := machine()
	// Machine frames are 0x100000 higher and in another order; the tables say so.
	frame := func(pfn uint64) uint64 { return 0x100000 + pfn ^ 1 }
	low := bytes.Clone(m.Memory[1].Data)
	for table := uint64(0x1000); table <= 0x4000; table += 0x1000 {
		for i := uint64(0); i < 4096; i += 8 {
			if e := binary.LittleEndian.Uint64(low[table+i:]); e&1 != 0 && e&(1<<7) == 0 {
				binary.LittleEndian.PutUint64(low[table+i:], frame(e>>12)<<12|e&0xfff)
			}
		}
	}
	// The guest maps 2 MiB by large pages, which PV guests do not have: only the
	// way to the tables is looked at, by pages of 4 KiB made here.
	const l1 = 0x6000
	for i := uint64(0); i < 256; i++ {
		binary.LittleEndian.PutUint64(low[l1+8*i:], frame(i)<<12|3)
	}
	binary.LittleEndian.PutUint64(low[0x3008:], frame(l1>>12)<<12|3)
	m.Memory = []coretest.Segment{{Phys: 0, Data: low}}
	m.CPUs[1].X86["cr3"] = frame(m.CPUs[1].X86["cr3"]>>12) << 12
	d := open(t, m.Xen(coretest.XenOptions{PV: true, Machine: frame}))
	if d.Format() != "Xen core of a PV guest" {
		t.Errorf("format %q", d.Format())
	}
	buf := make([]byte, 11)
	v, err := d.Virtual(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.ReadFull(t.Context(), v, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("virtual memory: %q, error %v", buf, err)
	}
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 0x8000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("the guest's own physical memory: %q, error %v", buf, err)
	}
}

func TestFirecracker(t *testing.T) {
	for _, opt := range []coretest.FirecrackerOptions{{}, {Bare: true, Region: 1}, {Region: 2}} {
		state, memory := machine().Firecracker(opt)
		file := filepath.Join(t.TempDir(), "mem")
		if err := os.WriteFile(file, memory, 0o600); err != nil {
			t.Fatal(err)
		}
		mustBe(t, "Firecracker snapshot, data version 8.0.0", state, corefile.Options{Memory: file})
		if _, err := corefile.New(bytes.NewReader(state), int64(len(state))); !errors.Is(err, corefile.ErrFormat) || !strings.Contains(err.Error(), "--memory") {
			t.Errorf("without its memory file: %v", err)
		}
		// A state nothing is found in leaves memory, and says so.
		d, err := corefile.NewWith(bytes.NewReader(state[:40]), 40, corefile.Options{Memory: file})
		if err != nil {
			t.Fatal(err)
		}
		if cpus, _ := d.CPUs(t.Context()); len(cpus) != 0 || !strings.Contains(strings.Join(d.Notes(), "\n"), "no vCPU's registers") {
			t.Errorf("%d CPUs, notes %q", len(cpus), d.Notes())
		}
		_ = d.Close()
	}
	// The registers of arm64 name its page tables.
	m := small(elf.EM_AARCH64)
	state, memory := m.Firecracker(coretest.FirecrackerOptions{})
	file := filepath.Join(t.TempDir(), "mem")
	if err := os.WriteFile(file, memory, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := corefile.NewWith(bytes.NewReader(state), int64(len(state)), corefile.Options{Memory: file})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	regs, err := d.ReadRegisters(t.Context(), 0)
	if err != nil || regs.PC() != 0x1000 || regs.SP() != 0x1100 || !d.Rooted() {
		t.Errorf("pc %#x, sp %#x, page tables known: %v, error %v", regs.PC(), regs.SP(), d.Rooted(), err)
	}
}

func TestSolo5(t *testing.T) {
	m := machine()
	m.CPUs[0] = m.CPUs[1]
	d := open(t, m.Solo5())
	if cpus, err := d.CPUs(t.Context()); err != nil || len(cpus) != 1 || d.Format() != "Solo5 ELF core" {
		t.Errorf("%s: CPUs %v, error %v", d.Format(), cpus, err)
	}
	buf := make([]byte, 11)
	if err := target.ReadFull(t.Context(), d, buf, 0x8000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("memory is mapped one to one: %q, error %v", buf, err)
	}
}

func TestProcess(t *testing.T) {
	m := coretest.Dump{Machine: elf.EM_X86_64, CPUs: machine().CPUs, Memory: []coretest.Segment{
		{Phys: 0x555555554000, Data: []byte("header"), Mem: 0x2000},
		{Phys: 0x7ffff0000000, Data: []byte("stack")},
	}}
	for osabi, format := range map[byte]string{0: "ELF core of a process", 3: "Nanos ELF core"} {
		d := open(t, m.Process(osabi, 0x555555555040, []coretest.FileMapping{{Start: 0x555555554000, End: 0x555555556000, Name: "/srv/app"}}))
		if d.Format() != format || !d.Process() || d.Physical() != nil {
			t.Errorf("format %q, process: %v", d.Format(), d.Process())
		}
		if slide, ok := d.Slide(0x1040); !ok || slide != 0x555555554000 {
			t.Errorf("slide %#x, %v", slide, ok)
		}
		buf := make([]byte, 5)
		if err := target.ReadFull(t.Context(), d, buf, 0x7ffff0000000); err != nil || string(buf) != "stack" {
			t.Errorf("%q, error %v", buf, err)
		}
		var f *target.FaultError
		if _, err := d.ReadMemory(t.Context(), buf, 0x555555555000); !errors.As(err, &f) || !strings.Contains(f.Why, `"/srv/app"`) {
			t.Errorf("left out: %v", err)
		}
		if cpus, err := d.CPUs(t.Context()); err != nil || len(cpus) != 2 {
			t.Errorf("threads %v, error %v", cpus, err)
		}
	}
}

func TestRawRAM(t *testing.T) {
	ram := make([]byte, 1<<20)
	copy(ram[0x8000:], "hello, dump")
	read := func(addr uint64, opt corefile.Options) string {
		t.Helper()
		d, err := corefile.NewWith(bytes.NewReader(ram), int64(len(ram)), opt)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 11)
		if err := target.ReadFull(t.Context(), d, buf, addr); err != nil {
			return err.Error()
		}
		return string(buf)
	}
	base := uint64(0x100000)
	for _, tt := range []struct {
		addr uint64
		opt  corefile.Options
	}{
		{0x8000, corefile.Options{Arch: arch.X86_64}},
		{0x40008000, corefile.Options{Arch: arch.ARM64}},
		{0x108000, corefile.Options{Arch: arch.X86_64, Base: &base}},
		{0x40008000, corefile.Options{Arch: arch.ARM64, Machine: "virt"}},
		{0x8000, corefile.Options{Arch: arch.X86_64, Machine: "q35"}},
	} {
		if got := read(tt.addr, tt.opt); got != "hello, dump" {
			t.Errorf("%+v: %s", tt.opt, got)
		}
	}
	// Above the hole: a sparse file of 5 GiB as a RAM backend has it.
	file := filepath.Join(t.TempDir(), "ram")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(5<<30), writeAt(f, "above", 3<<30+16)); err != nil {
		t.Fatal(err)
	}
	d, err := corefile.OpenWith(file, corefile.Options{Arch: arch.X86_64, Machine: "pc"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	buf := make([]byte, 5)
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 4<<30+16); err != nil || string(buf) != "above" {
		t.Errorf("above 4 GiB: %q, error %v", buf, err)
	}
	var hole *target.FaultError
	if _, err := d.Physical().ReadMemory(t.Context(), buf, 3<<30+16); !errors.As(err, &hole) || !strings.Contains(strings.Join(d.Notes(), "\n"), "hole") {
		t.Errorf("the hole: %v, notes %q", err, d.Notes())
	}
	for want, opt := range map[string]corefile.Options{
		"an image (-e)":          {},
		"machine virt is of arm": {Arch: arch.X86_64, Machine: "virt"},
		"is not known, but":      {Arch: arch.X86_64, Machine: "vax"},
	} {
		if _, err := corefile.NewWith(bytes.NewReader(ram), int64(len(ram)), opt); !errors.Is(err, corefile.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", opt, err)
		}
	}
}

func writeAt(f *os.File, text string, off int64) error {
	_, err := f.WriteAt([]byte(text), off)
	return err
}

func TestLibvirtSaveImageIsNamed(t *testing.T) {
	for magic, want := range map[string]string{"LibvirtQemudSave": "virsh dump --memory-only", "LibvirtQemudPart": "broken off"} {
		file := append([]byte(magic), make([]byte, 200)...)
		if _, err := corefile.New(bytes.NewReader(file), int64(len(file))); !errors.Is(err, corefile.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", magic, err)
		}
	}
}

// TestGrowingFile: what is written after the dump was opened is read, and said.
func TestGrowingFile(t *testing.T) {
	m := machine()
	file := filepath.Join(t.TempDir(), "dump")
	m.Memory[0], m.Memory[1] = m.Memory[1], m.Memory[0] // what is written last is "high"
	whole := m.Bytes()
	cut := len(whole) - 64<<10 + 100
	if err := os.WriteFile(file, whole[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := corefile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	buf := make([]byte, 4)
	var hole *target.FaultError
	if _, err := d.Physical().ReadMemory(t.Context(), buf, 1<<32+0x8000); !errors.As(err, &hole) {
		t.Fatalf("not written yet: %v", err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(whole[cut:]); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := target.ReadFull(t.Context(), d.Physical(), buf, 1<<32+0x8000); err != nil || string(buf) != "high" {
		t.Errorf("written meanwhile: %q, error %v", buf, err)
	}
	if notes := strings.Join(d.Notes(), "\n"); !strings.Contains(notes, "still being written") {
		t.Errorf("notes %q", notes)
	}
}

// TestVMCoreInfo: Linux names its page tables and how far it was moved.
func TestVMCoreInfo(t *testing.T) {
	m := machine()
	for i := range m.CPUs {
		m.CPUs[i].NoQEMUNote = true
	}
	info := "OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(init_top_pgt)=ffffffff9c401000\nNUMBER(phys_base)=-473956352\nKERNELOFFSET=1b400000\nNUMBER(pgtable_l5_enabled)=0\n"
	// init_top_pgt - __START_KERNEL_map + phys_base = 0x1000, as machine has it.
	d := open(t, m.Kdump(coretest.KdumpOptions{VMCoreInfo: info}))
	buf := make([]byte, 11)
	if err := target.ReadFull(t.Context(), d, buf, 0x208000); err != nil || string(buf) != "hello, dump" {
		t.Errorf("virtual memory: %q, error %v, notes %q", buf, err, d.Notes())
	}
	if slide, ok := d.Slide(0); !ok || slide != 0x1b400000 {
		t.Errorf("slide %#x, %v", slide, ok)
	}
}

func FuzzXen(f *testing.F) {
	f.Add(small(elf.EM_X86_64).Xen(coretest.XenOptions{}))
	f.Add(small(elf.EM_X86_64).Xen(coretest.XenOptions{PV: true, Machine: func(pfn uint64) uint64 { return pfn ^ 1 }}))
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{}) })
}

func FuzzFirecracker(f *testing.F) {
	mem := filepath.Join(f.TempDir(), "mem")
	for _, m := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		for region := range 3 {
			state, memory := small(m).Firecracker(coretest.FirecrackerOptions{Region: region, Bare: region == 1})
			if err := os.WriteFile(mem, memory, 0o600); err != nil {
				f.Fatal(err)
			}
			f.Add(state)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{Memory: mem}) })
}

func FuzzProcess(f *testing.F) {
	f.Add(small(elf.EM_X86_64).Process(0, 0x1040, []coretest.FileMapping{{Start: 0x1000, End: 0x2000, Name: "/srv/app"}}))
	f.Add(small(elf.EM_AARCH64).Process(3, 0, nil))
	f.Add(small(elf.EM_X86_64).Solo5())
	f.Fuzz(func(t *testing.T, file []byte) { explore(t, file, corefile.Options{}) })
}

func FuzzRawRAM(f *testing.F) {
	f.Add([]byte("\x00ram"), uint64(0x1000))
	f.Fuzz(func(t *testing.T, file []byte, base uint64) {
		explore(t, file, corefile.Options{Arch: arch.ARM64, Base: &base})
		explore(t, file, corefile.Options{Arch: arch.X86_64, Machine: "pc"})
	})
}
