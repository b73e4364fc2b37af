package corefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// maxCPUs bounds the processors of a dump; QEMU's largest machines have 4096.
const maxCPUs = 4096

// cpuState is what the notes say of one processor.
type cpuState struct {
	regs target.Regs
	sys  map[string]uint64
	// long says that the processor was in 64-bit mode; only with sys.
	long bool
}

// ntPRStatus is the type of a note "CORE" with a processor's registers.
const ntPRStatus = 1

// parseNotes reads the processors' states. It uses what is well formed and
// reports what is not.
func parseNotes(notes []byte, a *arch.Arch) (cpus []cpuState, problems []string) {
	var qemu [][]byte
	for len(notes) >= 12 {
		le := binary.LittleEndian
		namesz, descsz, typ := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		rest := notes[12:]
		desc := (namesz + 3) &^ 3
		end := desc + (descsz+3)&^3
		if desc+descsz > uint64(len(rest)) {
			problems = append(problems, "the notes are cut off")
			break
		}
		name, body := rest[:namesz], rest[desc:desc+descsz]
		notes = rest[min(end, uint64(len(rest))):]
		switch {
		case string(name) == "CORE\x00" && typ == ntPRStatus:
			if len(cpus) == maxCPUs {
				return cpus, append(problems, fmt.Sprintf("more than %d processors", maxCPUs))
			}
			regs, err := prstatus(body, a)
			if err != nil {
				problems = append(problems, fmt.Sprintf("registers of CPU %d: %v", len(cpus), err))
			}
			cpus = append(cpus, cpuState{regs: regs})
		case string(name) == "QEMU\x00" && typ == 0 && len(qemu) < maxCPUs:
			qemu = append(qemu, body)
		}
	}
	if a.Machine != elf.EM_X86_64 {
		return cpus, problems
	}
	for i, body := range qemu {
		if i == len(cpus) {
			cpus = append(cpus, cpuState{regs: target.NewRegs(a)})
		}
		if err := qemuState(body, &cpus[i]); err != nil {
			problems = append(problems, fmt.Sprintf("QEMU's note on CPU %d: %v", i, err))
		}
	}
	return cpus, problems
}

// prRegs is where pr_reg is in struct elf_prstatus of 64-bit machines.
const prRegs = 112

// x86PRStatus lists the DWARF numbers of struct user_regs_struct in its order;
// -1 is orig_rax.
var x86PRStatus = []int{arch.X86R15, arch.X86R14, arch.X86R13, arch.X86R12, arch.X86RBP, arch.X86RBX, 11, 10, 9, arch.X86R8,
	arch.X86RAX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, -1, arch.X86RIP, arch.X86CS, arch.X86RFLAGS,
	arch.X86RSP, arch.X86SS, arch.X86FSBase, arch.X86GSBase, 53, 50, 54, 55}

// prstatus reads the registers of a struct elf_prstatus.
func prstatus(body []byte, a *arch.Arch) (target.Regs, error) {
	regs := target.NewRegs(a)
	order := x86PRStatus
	if a.Machine == elf.EM_AARCH64 {
		// struct user_pt_regs: x0 to x30, sp, pc, pstate.
		order = nil
		for n := range arch.ARM64PC + 1 {
			order = append(order, n)
		}
		order = append(order, arch.ARM64CPSR)
	}
	if len(body) < prRegs+8*len(order) {
		return regs, fmt.Errorf("%d bytes, want at least %d", len(body), prRegs+8*len(order))
	}
	for i, num := range order {
		if num >= 0 {
			regs.Set(num, binary.LittleEndian.Uint64(body[prRegs+8*i:]))
		}
	}
	return regs, nil
}

// Offsets in QEMU's struct QEMUCPUState, version 1: version and size, sixteen
// general registers, rip, rflags, ten segments of 24 bytes (selector, limit,
// flags, pad, base), CR0 to CR4, kernel_gs_base. The last came later.
const (
	qemuGeneral  = 8
	qemuSegments = 152
	qemuSegment  = 24
	qemuCR       = 392
	qemuKernelGS = 432
	qemuLeast    = 432
	segFlags     = 8
	segBase      = 16
	segLong      = 1 << 21 // the L bit of a code segment
)

// qemuGeneralOrder lists the DWARF numbers of the general registers as stored.
var qemuGeneralOrder = []int{arch.X86RAX, arch.X86RBX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, arch.X86RSP, arch.X86RBP,
	8, 9, 10, 11, 12, 13, 14, 15, arch.X86RIP, arch.X86RFLAGS}

// qemuSegmentOrder lists the DWARF numbers of the first six segments' selectors.
var qemuSegmentOrder = []int{arch.X86CS, 53, 50, 54, 55, arch.X86SS}

// qemuState adds what QEMU's own note says of an x86 processor.
func qemuState(body []byte, c *cpuState) error {
	if len(body) < qemuLeast {
		return fmt.Errorf("%d bytes, want at least %d", len(body), qemuLeast)
	}
	le := binary.LittleEndian
	if v := le.Uint32(body); v != 1 {
		return fmt.Errorf("version %d is not known", v)
	}
	for i, num := range qemuGeneralOrder {
		c.regs.Set(num, le.Uint64(body[qemuGeneral+8*i:]))
	}
	for i, num := range qemuSegmentOrder {
		s := body[qemuSegments+qemuSegment*i:]
		c.regs.Set(num, uint64(le.Uint32(s)))
		switch num {
		case 54:
			c.regs.Set(arch.X86FSBase, le.Uint64(s[segBase:]))
		case 55:
			c.regs.Set(arch.X86GSBase, le.Uint64(s[segBase:]))
		case arch.X86CS:
			c.long = le.Uint32(s[segFlags:])&segLong != 0
		}
	}
	c.sys = map[string]uint64{}
	for i, name := range []string{"cr0", "", "cr2", "cr3", "cr4"} {
		if name != "" {
			c.sys[name] = le.Uint64(body[qemuCR+8*i:])
		}
	}
	if len(body) >= qemuKernelGS+8 {
		c.sys["k_gs_base"] = le.Uint64(body[qemuKernelGS:])
	}
	return nil
}
