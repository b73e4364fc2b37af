package corefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"

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
	// identity says that the guest's memory is known to be mapped one to one.
	identity bool
	// thread is the number of the process's thread, 0 for a processor.
	thread int
}

// Types of the notes named "CORE" (elf.h).
const (
	ntPRStatus = 1          // a processor's or a thread's registers
	ntPRPSInfo = 3          // the process's name and arguments
	ntAuxv     = 6          // the process's auxiliary vector
	ntSigInfo  = 0x53494749 // the signal that ended it
	ntXState   = 0x202      // x86: the XSAVE area, named "LINUX"
	ntFile     = 0x46494c45 // the files it has mapped
)

// note is one ELF note. name is without its NULs.
type note struct {
	name string
	typ  uint32
	body []byte
}

// eachNote calls f for each note until it returns false. whole reports whether
// none was cut off.
func eachNote(notes []byte, f func(note) bool) (whole bool) {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		namesz, descsz, typ := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		rest := notes[12:]
		desc := (namesz + 3) &^ 3
		if desc+descsz > uint64(len(rest)) {
			return false
		}
		if !f(note{strings.TrimRight(string(rest[:namesz]), "\x00"), typ, rest[desc : desc+descsz]}) {
			return true
		}
		notes = rest[min(desc+(descsz+3)&^3, uint64(len(rest))):]
	}
	return true
}

// parseNotes reads the processors' states. It uses what is well formed and
// reports what is not.
func parseNotes(notes []byte, a *arch.Arch) (cpus []cpuState, info vmcoreinfo, problems []string) {
	var qemu [][]byte
	whole := eachNote(notes, func(n note) bool {
		switch {
		case n.name == "CORE" && n.typ == ntPRStatus:
			if len(cpus) == maxCPUs {
				problems = append(problems, fmt.Sprintf("more than %d processors", maxCPUs))
				return false
			}
			regs, thread, err := prstatus(n.body, a)
			if err != nil {
				problems = append(problems, fmt.Sprintf("registers of CPU %d: %v", len(cpus), err))
			}
			cpus = append(cpus, cpuState{regs: regs, thread: thread})
		case n.name == "LINUX" && n.typ == ntXState && len(cpus) > 0 && a.Machine == elf.EM_X86_64:
			if pkru, ok := xsavePKRU(n.body); ok {
				cpus[len(cpus)-1].sys = map[string]uint64{"pkru": uint64(pkru)}
			}
		case n.name == "QEMU" && n.typ == 0 && len(qemu) < maxCPUs:
			qemu = append(qemu, n.body)
		case n.name == "VMCOREINFO":
			info = n.body
		}
		return true
	})
	if !whole {
		problems = append(problems, "the notes are cut off")
	}
	if a.Machine != elf.EM_X86_64 {
		return cpus, info, problems
	}
	for i, body := range qemu {
		if i == len(cpus) {
			cpus = append(cpus, cpuState{regs: target.NewRegs(a)})
		}
		if err := qemuState(body, &cpus[i]); err != nil {
			problems = append(problems, fmt.Sprintf("QEMU's note on CPU %d: %v", i, err))
		}
	}
	return cpus, info, problems
}

// prRegs and prPID are where pr_reg and pr_pid are in struct elf_prstatus of
// 64-bit machines.
const (
	prRegs = 112
	prPID  = 32
)

// x86PRStatus lists the DWARF numbers of struct user_regs_struct in its order;
// -1 is orig_rax.
var x86PRStatus = []int{arch.X86R15, arch.X86R14, arch.X86R13, arch.X86R12, arch.X86RBP, arch.X86RBX, 11, 10, 9, arch.X86R8,
	arch.X86RAX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, -1, arch.X86RIP, arch.X86CS, arch.X86RFLAGS,
	arch.X86RSP, arch.X86SS, arch.X86FSBase, arch.X86GSBase, 53, 50, 54, 55}

// prstatus reads the registers and the number of a struct elf_prstatus.
func prstatus(body []byte, a *arch.Arch) (_ target.Regs, thread int, _ error) {
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
		return regs, 0, fmt.Errorf("%d bytes, want at least %d", len(body), prRegs+8*len(order))
	}
	for i, num := range order {
		if num >= 0 {
			regs.Set(num, binary.LittleEndian.Uint64(body[prRegs+8*i:]))
		}
	}
	return regs, int(binary.LittleEndian.Uint32(body[prPID:])), nil
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
