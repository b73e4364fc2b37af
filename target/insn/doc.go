// Package insn tells what a machine instruction does with registers and memory:
// which it reads and writes, at which address, and where the processor goes
// next. It is what explaining a fault takes, not a disassembler.
//
//	in, ok := insn.Decode(arch.X86_64, code, pc)
//	if in.Access != insn.None {
//		addr = reg[in.Mem.Base] + reg[in.Mem.Index]<<in.Mem.Shift + uint64(in.Mem.Disp)
//	}
//
// Registers are DWARF numbers. What an instruction does that is not told apart
// here is still a write to its register, so that a value is never taken to have
// outlived one.
//
// Specification: Intel SDM volume 2; Arm ARM (DDI 0487) chapter C4 (A64
// encodings).
package insn
