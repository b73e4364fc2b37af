package dumpfile

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// CPU is a processor's state.
type CPU struct {
	Regs target.Regs
	// System are the system registers by gdb's names, little-endian; nil if they
	// are not known.
	System map[string][]byte
}

func (c *CPU) system(name string) (uint64, bool) {
	b, ok := c.System[name]
	if !ok || len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	var v [8]byte
	copy(v[:], b)
	return binary.LittleEndian.Uint64(v[:]), true
}

const (
	ntPRStatus = 1
	// prRegs is where pr_reg is in struct elf_prstatus of 64-bit machines, and
	// what follows it: pr_fpvalid and padding.
	prRegs, prEnd = 112, 8
	prPID         = 32
)

// x86Order lists the DWARF numbers of struct user_regs_struct in its order; -1 is
// orig_rax.
func x86Order() []int {
	return []int{arch.X86R15, arch.X86R14, arch.X86R13, arch.X86R12, arch.X86RBP, arch.X86RBX, 11, 10, 9, arch.X86R8,
		arch.X86RAX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, -1, arch.X86RIP, arch.X86CS, arch.X86RFLAGS,
		arch.X86RSP, arch.X86SS, arch.X86FSBase, arch.X86GSBase, 53, 50, 54, 55}
}

// arm64Order is struct user_pt_regs: x0 to x30, sp, pc, pstate.
func arm64Order() []int {
	var order []int
	for n := range arch.ARM64PC + 1 {
		order = append(order, n)
	}
	return append(order, arch.ARM64CPSR)
}

// notes makes the content of the PT_NOTE segment.
func (d *Dump) notes() ([]byte, error) {
	order := x86Order()
	if d.Arch == arch.ARM64 {
		order = arm64Order()
	}
	var out []byte
	for i, c := range d.CPUs {
		out = appendNote(out, "CORE", ntPRStatus, prstatus(i, c.Regs, order))
	}
	for i := range d.CPUs {
		if state, ok := qemuState(&d.CPUs[i]); ok && d.Arch == arch.X86_64 {
			out = appendNote(out, "QEMU", 0, state)
		}
	}
	info := d.Info
	info.Version = 1
	info.CPUs = nil
	for i := range d.CPUs {
		c := CPUInfo{System: map[string]Hex{}}
		for name := range d.CPUs[i].System {
			if v, ok := d.CPUs[i].system(name); ok {
				c.System[name] = Hex(v)
			}
		}
		for _, r := range d.Arch.Regs {
			v, ok := d.CPUs[i].Regs.Get(r.Num)
			switch {
			case !ok:
				c.Unknown = append(c.Unknown, r.Name)
			case !slices.Contains(order, r.Num):
				if c.Registers == nil {
					c.Registers = map[string]Hex{}
				}
				c.Registers[r.Name] = Hex(v)
			}
		}
		info.CPUs = append(info.CPUs, c)
	}
	text, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	return appendNote(out, NoteName, NoteType, text), nil
}

func appendNote(out []byte, name string, typ uint32, desc []byte) []byte {
	le := binary.LittleEndian
	out = le.AppendUint32(out, uint32(len(name)+1))
	out = le.AppendUint32(out, uint32(len(desc)))
	out = le.AppendUint32(out, typ)
	out = pad(append(append(out, name...), 0))
	return pad(append(out, desc...))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func prstatus(cpu int, regs target.Regs, order []int) []byte {
	b := make([]byte, prRegs+8*len(order)+prEnd)
	binary.LittleEndian.PutUint32(b[prPID:], uint32(cpu+1))
	for i, num := range order {
		if num >= 0 {
			v, _ := regs.Get(num) // the form has no word for a register that is not known
			binary.LittleEndian.PutUint64(b[prRegs+8*i:], v)
		}
	}
	return b
}

// Sizes and offsets in QEMU's struct QEMUCPUState, version 1.
const (
	qemuSize     = 440
	qemuSegments = 152
	qemuCR       = 392
	qemuKernelGS = 432
	segLong      = 1 << 21 // the L bit of a code segment
)

// qemuState is QEMU's own note on an x86 processor; ok is false if the control
// registers are not known.
func qemuState(c *CPU) (b []byte, ok bool) {
	le := binary.LittleEndian
	b = make([]byte, qemuSize)
	le.PutUint32(b, 1)
	le.PutUint32(b[4:], qemuSize)
	for i, num := range []int{arch.X86RAX, arch.X86RBX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, arch.X86RSP, arch.X86RBP,
		8, 9, 10, 11, 12, 13, 14, 15, arch.X86RIP, arch.X86RFLAGS} {
		v, _ := c.Regs.Get(num)
		le.PutUint64(b[8+8*i:], v)
	}
	cr0, ok0 := c.system("cr0")
	cr3, ok3 := c.system("cr3")
	cr4, ok4 := c.system("cr4")
	if !ok0 || !ok3 || !ok4 {
		return nil, false
	}
	for i, num := range []int{arch.X86CS, 53, 50, 54, 55, arch.X86SS} {
		s := b[qemuSegments+24*i:]
		v, _ := c.Regs.Get(num)
		le.PutUint32(s, uint32(v))
		var base uint64
		switch num {
		case 54:
			base, _ = c.Regs.Get(arch.X86FSBase)
		case 55:
			base, _ = c.Regs.Get(arch.X86GSBase)
		case arch.X86CS:
			if cr0&(1<<31) != 0 {
				le.PutUint32(s[8:], segLong) // what is dumped runs in 64-bit mode
			}
		}
		le.PutUint64(s[16:], base)
	}
	cr2, _ := c.system("cr2")
	for i, v := range []uint64{cr0, 0, cr2, cr3, cr4} {
		le.PutUint64(b[qemuCR+8*i:], v)
	}
	gs, _ := c.system("k_gs_base")
	le.PutUint64(b[qemuKernelGS:], gs)
	return b, true
}
