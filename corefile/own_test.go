package corefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/corefile/seekzstd"
	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// pattern is what memory holds in these tests.
func pattern(_ context.Context, p []byte, phys uint64) error {
	for i := range p {
		p[i] = byte((phys + uint64(i)) * 37 >> 3)
	}
	return nil
}

func write(t testing.TB, d dumpfile.Dump) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := seekzstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(context.Background(), z, pattern); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func reopen(t testing.TB, d dumpfile.Dump) *Dump {
	t.Helper()
	b := write(t, d)
	got, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ownCPU(a *arch.Arch, sys map[string]uint64) dumpfile.CPU {
	regs := target.NewRegs(a)
	for i, r := range a.Regs {
		regs.Set(r.Num, uint64(0x1000+i))
	}
	c := dumpfile.CPU{Regs: regs, System: map[string][]byte{}}
	for name, v := range sys {
		c.System[name] = binary.LittleEndian.AppendUint64(nil, v)
	}
	return c
}

// What dumpfile writes is read as it was: registers, system registers, memory,
// what the dump says of itself.
func TestOwnDump(t *testing.T) {
	for _, a := range arch.All {
		sys := map[string]uint64{"cr0": 0x80000011, "cr2": 0xbad, "cr3": 0x5000, "cr4": 0x20, "efer": 0xd00, "k_gs_base": 7}
		if a == arch.ARM64 {
			sys = map[string]uint64{"TCR_EL1": 25 | 25<<16 | 2<<30, "TPIDR_EL1": 0x4242}
		}
		first, second := ownCPU(a, sys), ownCPU(a, sys)
		second.Regs.Set(a.PC, 0x77)
		second.Regs.Forget(a.FP)
		d := reopen(t, dumpfile.Dump{
			Arch: a, CPUs: []dumpfile.CPU{first, second},
			Extents: []dumpfile.Extent{{Phys: 0x1003, Size: 5}, {Phys: 0x2000, Size: 3 << 20}, {Phys: 1 << 40, Size: 4096}},
			Info:    dumpfile.Info{Minimal: true, LeftOut: "what is secret is left out", Tables: &dumpfile.Tables{Format: "identity"}, StopCPU: 1},
		})
		if d.Arch() != a {
			t.Fatalf("it is %s", d.Arch().Name)
		}
		for i, want := range []dumpfile.CPU{first, second} {
			regs, err := d.ReadRegisters(t.Context(), target.CPU(i))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range a.Regs {
				got, ok := regs.Get(r.Num)
				v, known := want.Regs.Get(r.Num)
				if r.Bits == 32 {
					v, got = uint64(uint32(v)), uint64(uint32(got))
				}
				if ok != known || ok && got != v {
					t.Errorf("%s CPU %d %s: %#x %v, want %#x %v", a.Name, i, r.Name, got, ok, v, known)
				}
			}
			got, err := d.ReadSystemRegisters(t.Context(), target.CPU(i))
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range sys {
				if b := got[name]; len(b) != 8 || binary.LittleEndian.Uint64(b) != v {
					t.Errorf("%s CPU %d %s: %x, want %#x", a.Name, i, name, b, v)
				}
			}
		}
		for _, r := range []struct{ addr, size uint64 }{{0x1003, 5}, {0x2000, 100}, {0x2fff00, 5000}, {1 << 40, 4096}} {
			got, want := make([]byte, r.size), make([]byte, r.size)
			_ = pattern(t.Context(), want, r.addr)
			if err := target.ReadFull(t.Context(), d.Physical(), got, r.addr); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%#x: %v", r.addr, err)
			}
		}
		var hole *target.FaultError
		if n, err := d.Physical().ReadMemory(t.Context(), make([]byte, 8), 0x1006); n != 2 || !errors.As(err, &hole) || !strings.Contains(hole.Why, "left out of this minimal dump") {
			t.Errorf("%d, %v", n, err)
		}
		info, ok := d.Info()
		if !ok || !info.Minimal || info.StopCPU != 1 || !strings.Contains(strings.Join(d.Notes(), "; "), "what is secret is left out") {
			t.Errorf("%+v, %q", info, d.Notes())
		}
	}
}

// arm64 dumps of ours say where the page tables are, which QEMU's do not.
func TestOwnTables(t *testing.T) {
	d := reopen(t, dumpfile.Dump{
		Arch: arch.ARM64, CPUs: []dumpfile.CPU{ownCPU(arch.ARM64, nil)}, Extents: []dumpfile.Extent{{Phys: 0x1000, Size: 0x1000}},
		Info: dumpfile.Info{Instant: true, Tables: &dumpfile.Tables{Format: "arm64", TCR: 25 | 25<<16 | 2<<30, TTBR0: 0x4000, TTBR1: 0x8000}},
	})
	want, err := mmu.ARM64(25|25<<16|2<<30, 0x4000, 0x8000)
	if err != nil {
		t.Fatal(err)
	}
	if root, ok := d.Root(t.Context()); !ok || root != want {
		t.Errorf("%+v", root)
	}
	if n := d.Notes(); len(n) != 0 {
		t.Errorf("%q", n)
	}
}

// Memory that is mapped twice is in the file once, and that which is mapped
// nowhere is there, too.
func TestOwnMappings(t *testing.T) {
	dump := dumpfile.Dump{
		Arch: arch.X86_64, CPUs: []dumpfile.CPU{ownCPU(arch.X86_64, nil)},
		Extents: []dumpfile.Extent{{Phys: 0x1000, Size: 0x5000}},
		Maps:    []dumpfile.Mapping{{Virt: 0xffff800000002000, Phys: 0x2000, Size: 0x2000}, {Virt: 0x2000, Phys: 0x3000, Size: 0x1000}},
	}
	b := write(t, dump)
	z, err := seekzstd.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, e := range reopen(t, dump).RAM() {
		sum += e.Size
	}
	if sum != 0x5000 {
		t.Errorf("%#x bytes", sum)
	}
	var virt []uint64
	for i := range int(binary.LittleEndian.Uint16(readN(t, z, 56, 2))) {
		ph := readN(t, z, 64+56*int64(i), 56)
		if binary.LittleEndian.Uint32(ph) == 1 {
			virt = append(virt, binary.LittleEndian.Uint64(ph[16:]))
		}
	}
	want := []uint64{0x1000, 0xffff800000002000, 0x2000, 0x4000}
	if len(virt) != len(want) {
		t.Fatalf("%#x, want %#x", virt, want)
	}
	for i := range want {
		if virt[i] != want[i] {
			t.Errorf("%#x, want %#x", virt, want)
		}
	}
	got, whole := make([]byte, 0x5000), make([]byte, 0x5000)
	_ = pattern(t.Context(), whole, 0x1000)
	d := reopen(t, dump)
	if err := target.ReadFull(t.Context(), d.Physical(), got, 0x1000); err != nil || !bytes.Equal(got, whole) {
		t.Error(err)
	}
}

func readN(t *testing.T, r interface {
	ReadAt(p []byte, off int64) (int, error)
}, off int64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := r.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	return b
}

// As many pieces as are written at all are read.
func TestOwnManyPieces(t *testing.T) {
	var e []dumpfile.Extent
	for i := range uint64(dumpfile.MaxLoads) {
		e = append(e, dumpfile.Extent{Phys: 0x1000 + 64*i, Size: 16})
	}
	d := reopen(t, dumpfile.Dump{Arch: arch.X86_64, CPUs: []dumpfile.CPU{ownCPU(arch.X86_64, nil)}, Extents: e})
	got, want := make([]byte, 16), make([]byte, 16)
	last := e[len(e)-1].Phys
	_ = pattern(t.Context(), want, last)
	if err := target.ReadFull(t.Context(), d.Physical(), got, last); err != nil || !bytes.Equal(got, want) {
		t.Error(err)
	}
	e = append(e, dumpfile.Extent{Phys: 1 << 40, Size: 1})
	over := dumpfile.Dump{Arch: arch.X86_64, Extents: e}
	if _, err := over.Write(t.Context(), &bytes.Buffer{}, pattern); err == nil || !strings.Contains(err.Error(), "60001 pieces") {
		t.Error(err)
	}
}
