package unikraft

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Which processor runs which thread.

func lcpus(g *guest, a *arch.Arch, index ...uint64) {
	reg := map[*arch.Arch]int{arch.X86_64: arch.X86GSBase, arch.ARM64: arch.ARM64TPIDREL1}[a]
	first := g.regs[0]
	g.regs = nil
	for i, idx := range index {
		r := first
		r.Set(reg, lcpuBase+uint64(i)*0x40)
		g.u32(lcpuBase+uint64(i)*0x40+20, idx)
		g.regs = append(g.regs, r)
	}
}

// Each CPU's thread is found by the struct lcpu its register names, in whatever
// order the stub lists the CPUs.
func TestCPUs(t *testing.T) {
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		g.u64(0x1010+8, threadAddr(1))
		lcpus(g, a, 1, 0, 2)
		g.regs[0].Set(a.SP, stackOf(1)+0x3000)
		l := list(t, open(t, img, g))
		if th := byName(t, l, "ready"); th.State != kernel.Running || th.CPU != 0 || !th.Live {
			t.Errorf("%s: ready %+v", a.Name, th)
		}
		if th := byName(t, l, "main"); th.State != kernel.Running || th.CPU != 1 || !th.Live {
			t.Errorf("%s: main %+v", a.Name, th)
		}
		// CPU 2 runs no thread yet.
		if th := byName(t, l, "(no thread)"); th.CPU != 2 || th.Addr != 0 || !th.Live {
			t.Errorf("%s: %+v", a.Name, th)
		}
	}
}

// Without the register that names the CPU, threads run somewhere, and that is
// told rather than guessed.
func TestCPUsUnknown(t *testing.T) {
	img := newImage(arch.X86_64)
	g := build(img, typical, 0)
	g.regs = append(g.regs, g.regs[0])
	l := list(t, open(t, img, g))
	if th := byName(t, l, "main"); th.State != kernel.Running || th.CPU != kernel.NoCPU || th.RegsErr == nil {
		t.Errorf("main %+v", th)
	}
	if !slices.ContainsFunc(l.Notes, func(n string) bool { return strings.Contains(n, "which CPU runs") }) {
		t.Errorf("notes %q", l.Notes)
	}
	// The stack pointer tells, where it is on one thread's stack alone.
	g.regs[1].Set(arch.X86RSP, 0x10)
	if th := byName(t, list(t, open(t, img, g)), "main"); th.State != kernel.Running || th.CPU != 0 || !th.Live {
		t.Errorf("main by its stack %+v", th)
	}
	// No registers at all.
	k, err := New(Config{Image: img, Memory: g})
	if err != nil {
		t.Fatal(err)
	}
	l = list(t, k)
	if th := byName(t, l, "main"); th.State != kernel.Running || th.RegsErr == nil || len(l.Notes) != 1 {
		t.Errorf("main %+v, notes %q", th, l.Notes)
	}
	// The registers cannot be read.
	g = build(img, typical, 0)
	g.regsErr = errors.New("E01")
	l = list(t, open(t, img, g))
	if th := byName(t, l, "main"); th.State != kernel.Running || th.Live || th.RegsErr == nil || len(l.Notes) != 1 {
		t.Errorf("main %+v, notes %q", th, l.Notes)
	}
}

// Between naming the next thread and switching the stack, the processor's
// registers are still the former's.
func TestSwitching(t *testing.T) {
	check := func(a *arch.Arch, g *guest, former, next string) {
		t.Helper()
		l := list(t, open(t, newImage(a), g))
		out, in := byName(t, l, former), byName(t, l, next)
		if !out.Live || out.CPU != 0 || len(out.Notes) != 1 {
			t.Errorf("%s: leaving: %+v", a.Name, out)
		}
		if in.Live || in.State != kernel.Running || in.CPU != kernel.NoCPU || !in.Returning || in.Regs.PC() != 0x344 || len(in.Notes) != 1 {
			t.Errorf("%s: coming: %+v", a.Name, in)
		}
	}
	whole := func(a *arch.Arch, g *guest, current string) {
		t.Helper()
		if th := byName(t, list(t, open(t, newImage(a), g)), current); !th.Live || th.CPU != 0 || len(th.Notes) != 0 {
			t.Errorf("%s: %+v", a.Name, th)
		}
	}
	for _, a := range arches {
		// Told by the stack: next is "ready", but the stack is main's.
		g := build(newImage(a), typical, 0)
		g.u64(0x1010, threadAddr(1))
		check(a, g, "main", "ready")
		// That next's own stack is not known changes nothing.
		g.u64(threadAddr(1)+88, 0)
		check(a, g, "main", "ready")
		// A stack pointer on no thread's stack, as in a trap, says nothing.
		g.regs[0].Set(a.SP, 0x9000)
		whole(a, g, "ready")

		// In ukarch_ctx_switch, told by its argument, whatever the stack is.
		g = build(newImage(a), typical, 0)
		g.u64(0x1010, threadAddr(1))
		g.regs[0].Set(a.PC, 0x210)
		g.regs[0].Set(a.SP, 0x9000)
		first := map[*arch.Arch]int{arch.X86_64: arch.X86RDI, arch.ARM64: 0}[a]
		g.regs[0].Set(first, threadAddr(0)+8)
		check(a, g, "main", "ready")
		// Its stack pointer is next's already.
		g.regs[0].Set(a.SP, stackOf(1)+0x3800+16)
		whole(a, g, "ready")
		// An argument that is no thread.
		g.regs[0].Set(a.SP, 0x9000)
		g.regs[0].Set(first, 0x1234)
		whole(a, g, "ready")
	}
}

// A processor the guest was not built to start stays with its firmware: it idles,
// and it keeps its number whenever it is looked at.
func TestNotStarted(t *testing.T) {
	for _, a := range arches {
		img := newImage(a)
		g := build(img, typical, 0)
		lcpus(g, a, 0)
		for range 2 {
			r := g.regs[0]
			r.Set(map[*arch.Arch]int{arch.X86_64: arch.X86GSBase, arch.ARM64: arch.ARM64TPIDREL1}[a], 0)
			r.Set(a.SP, 0x10)
			r.Set(a.PC, 0xfd09a)
			g.regs = append(g.regs, r)
		}
		k := open(t, img, g)
		first := list(t, k)
		for _, name := range []string{NotStarted(1), NotStarted(2)} {
			th := byName(t, first, name)
			if th.State != kernel.Idle || th.Addr != 0 || !th.Live || len(th.Notes) != 1 {
				t.Errorf("%s: %+v", a.Name, th)
			}
			if again := byName(t, list(t, k), name); again.ID != th.ID {
				t.Errorf("%s: %s has the number %d, and then %d", a.Name, name, th.ID, again.ID)
			}
		}
		if one, two := byName(t, first, NotStarted(1)), byName(t, first, NotStarted(2)); one.ID == two.ID {
			t.Errorf("%s: two processors have the number %d", a.Name, one.ID)
		}
		// One that executes the image's code is not known, not idle.
		g.regs[1].Set(a.PC, 0x344)
		if th := byName(t, list(t, k), "(thread not known)"); th.State != kernel.Running || th.CPU != 1 {
			t.Errorf("%s: in the image: %+v", a.Name, th)
		}
	}
}
