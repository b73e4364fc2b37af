package gdbstub

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// regSlot is a register of the stub.
type regSlot struct {
	xmlReg
	// off is the offset in a g packet in bytes, if the packet reaches so far.
	off int
	// dwarf is the DWARF number, or arch.None for a system register.
	dwarf int
	// unknown: the stub sends zeros for it, whatever it holds.
	unknown bool
}

func (s *regSlot) size() int { return (s.bits + 7) / 8 }

// layout says where each register is.
type layout struct {
	slots []regSlot // by number
	// inG is how many bytes the stub's g packet has, 0 until one was read;
	// registers behind it are read by p.
	inG int
}

// newLayout places regs: a g packet has them by number, without gaps.
func newLayout(regs []xmlReg, a *arch.Arch, inImage bool) layout {
	l := layout{slots: make([]regSlot, 0, len(regs))}
	for _, r := range regs {
		s := regSlot{xmlReg: r, dwarf: arch.None}
		if a != nil {
			if known, ok := a.Reg(r.name); ok {
				s.dwarf = known.Num
			}
		}
		s.unknown = inImage && a == arch.X86_64 && zeroInImage(r.name)
		l.slots = append(l.slots, s)
	}
	sort.SliceStable(l.slots, func(i, j int) bool { return l.slots[i].num < l.slots[j].num })
	off := 0
	for i := range l.slots {
		l.slots[i].off = off
		off += l.slots[i].size()
	}
	return l
}

// byDWARF returns the slot of a general register.
func (l *layout) byDWARF(num int) *regSlot {
	for i := range l.slots {
		if l.slots[i].dwarf == num {
			return &l.slots[i]
		}
	}
	return nil
}

// zeroInImage names the x86 registers that Unikraft's stub sends as zero
// because its trap frame does not have them (arch/x86_64/gdbsup.c).
func zeroInImage(name string) bool {
	switch name {
	case "ds", "es", "fs", "gs", "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop":
		return true
	}
	return strings.HasPrefix(name, "st") && len(name) == 3
}

// archOf returns the architecture a description names. One without a name, as
// Unikraft's, is known by its registers.
func archOf(name string, regs []xmlReg, fallback *arch.Arch) *arch.Arch {
	if a := arch.ByGDBName(name); a != nil {
		return a
	}
	if name != "" {
		return fallback
	}
	for _, a := range arch.All {
		want := a.Regs[len(a.Regs)-1].Name
		for _, r := range a.Regs {
			if r.Num == a.PC {
				want = r.Name
			}
		}
		has := map[string]bool{}
		for _, r := range regs {
			has[r.name] = true
		}
		if has[want] && has[a.Regs[0].Name] && has[a.Regs[10].Name] {
			return a
		}
	}
	return fallback
}

// defaultRegs is the layout gdb assumes of a stub that describes nothing: the
// general registers, then the FPU's and the vector registers (gdb's
// regformats; GDB manual, G.5.2 and G.5.1).
func defaultRegs(a *arch.Arch) (regs []xmlReg) {
	add := func(bits int, names ...string) {
		for _, n := range names {
			regs = append(regs, xmlReg{name: n, num: len(regs), bits: bits})
		}
	}
	numbered := func(bits int, prefix string, n int) {
		for i := range n {
			add(bits, fmt.Sprintf("%s%d", prefix, i))
		}
	}
	switch a {
	case arch.X86_64:
		for _, r := range a.Regs {
			if r.Name != "fs_base" && r.Name != "gs_base" {
				add(r.Bits, r.Name)
			}
		}
		numbered(80, "st", 8)
		add(32, "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
		numbered(128, "xmm", 16)
		add(32, "mxcsr")
	case arch.ARM64:
		for _, r := range a.Regs {
			if r.Num <= arch.ARM64PC || r.Num == arch.ARM64CPSR {
				add(r.Bits, r.Name)
			}
		}
		numbered(128, "v", 32)
		add(32, "fpsr", "fpcr")
	}
	return regs
}
