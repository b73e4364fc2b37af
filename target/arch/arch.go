package arch

import "debug/elf"

// None marks a register an architecture does not have.
const None = -1

// MaxRegs bounds the DWARF numbers held in register sets.
const MaxRegs = 64

// Reg is one register a person or a stub can name.
type Reg struct {
	// Name is the name gdb uses, and the name in a stub's target.xml.
	Name string
	// Num is the DWARF number, from 0 to MaxRegs-1.
	Num int
	// Bits is the width: 32 or 64.
	Bits int
}

// Arch is the constant data of one processor architecture.
type Arch struct {
	// Name is the name people use: "x86_64" or "arm64".
	Name string
	// GDBName is the <architecture> of a target.xml.
	GDBName string
	// Machine is e_machine of an ELF image.
	Machine elf.Machine
	// Regs lists the registers in the order gdb prints them, which is also
	// the order of the start of a stub's g packet.
	Regs []Reg
	// PC, SP, FP and LR are DWARF numbers; LR is None where the return
	// address lives on the stack.
	PC, SP, FP, LR int
	// Flags is the number of the status register (eflags, cpsr).
	Flags int
	// StatusFlags are the fields of the status register, from low to high.
	StatusFlags []Flag
	// CalleeSaved lists the DWARF numbers a function preserves by the ABI, so
	// that an unwinder may keep their value when CFI says nothing of them.
	CalleeSaved []int
	// Breakpoint is the instruction patched into text for a software
	// breakpoint where a stub has no Z0.
	Breakpoint []byte
	// BreakpointAdvance is how many bytes past the start of the breakpoint
	// instruction the processor reports the pc after hitting it.
	BreakpointAdvance uint64
	// WatchesBefore: a watchpoint stops the processor before the access it watches
	// for, not after.
	WatchesBefore bool
	// MinInstr is the least length of an instruction in bytes: 1 or 4.
	MinInstr uint64
	// PACMask has the bits of a code pointer that may carry a pointer
	// authentication code on a low (user-half) address; 0 where there is none.
	PACMask uint64
}

// ByMachine returns the architecture of an ELF machine, or nil.
func ByMachine(m elf.Machine) *Arch {
	for _, a := range All {
		if a.Machine == m {
			return a
		}
	}
	return nil
}

// ByGDBName returns the architecture a target.xml names, or nil.
func ByGDBName(name string) *Arch {
	for _, a := range All {
		if a.GDBName == name {
			return a
		}
	}
	return nil
}

// All lists every architecture known here.
var All = []*Arch{X86_64, ARM64}

// Reg returns the register called name.
func (a *Arch) Reg(name string) (Reg, bool) {
	for _, r := range a.Regs {
		if r.Name == name {
			return r, true
		}
	}
	return Reg{}, false
}

// StripPAC removes a pointer authentication code from a code address.
func (a *Arch) StripPAC(pc uint64) uint64 {
	if a.PACMask == 0 {
		return pc
	}
	if pc&(1<<55) != 0 {
		return pc | a.PACMask
	}
	return pc &^ a.PACMask
}
