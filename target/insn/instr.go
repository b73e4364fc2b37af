package insn

import "github.com/ukdbg/ukdbg/target/arch"

// Access is what an instruction does with its memory operand.
type Access uint8

// The ways of an access.
const (
	None Access = iota
	Read
	Write
	ReadWrite
)

// NoReg stands for a register that an operand does not have.
const NoReg = -1

// Mem is a memory operand: Base + Index<<Shift + Disp. Registers are DWARF
// numbers, NoReg where there is none. A pc-relative operand has its address in
// Disp and no registers.
type Mem struct {
	Base, Index int
	Shift       uint
	Disp        int64
	// Size is how many bytes are used, 0 if that is not known.
	Size int
	// Segment: relative to a segment base that is not told.
	Segment bool
}

// Instr is one instruction.
type Instr struct {
	Addr uint64
	Len  int
	// Mem is the memory operand, if Access is not None. Of an instruction with
	// two nothing is told.
	Mem    Mem
	Access Access
	// Divisor is the register a division divides by, NoReg if it is in memory or
	// this is none.
	Divisor int
	// Effects are the registers written of which it is known how.
	Effects []Effect
	// Writes has a bit for each register that is changed, by DWARF number. Those
	// a called function changes are not among them.
	Writes uint64
	Flow   Flow
	// Target is where a direct jump or call goes, if Direct. An indirect one
	// goes to what is in the register Via, or, if that is NoReg, in Mem.
	Target uint64
	Direct bool
	Via    int
}

// Flow says what is executed after an instruction.
type Flow uint8

// The ways on.
const (
	Next   Flow = iota
	Call        // the target, and then on
	Branch      // the target, or on
	Jump        // the target only; if it is not Direct, anything
	Stop        // a return or a trap
)

// Effect is how an instruction writes one register.
type Effect struct {
	Dst  int
	Kind EffectKind
	// A copy is Src; a sum is Src + Index<<Shift + Imm, of the registers there are;
	// a constant is Imm; an insertion puts Imm<<Shift into Src, whose 16 bits there
	// are replaced.
	Src, Index int
	Shift      uint
	Imm        int64
	// A load reads Mem.
	Mem Mem
}

// EffectKind says what an Effect is.
type EffectKind uint8

// The kinds of effects.
const (
	Copied EffectKind = iota
	Constant
	Loaded
	Summed
	Inserted
)

// Decode decodes the instruction at the start of code, which lies at addr; ok is
// false if it is none that is known.
func Decode(a *arch.Arch, code []byte, addr uint64) (Instr, bool) {
	if a == arch.ARM64 {
		return decodeARM64(code, addr)
	}
	return decodeX86(code, addr)
}

// Effect returns what is known of how the instruction writes a register.
func (in *Instr) Effect(reg int) (Effect, bool) {
	for _, e := range in.Effects {
		if e.Dst == reg {
			return e, true
		}
	}
	return Effect{}, false
}

// WritesTo reports whether the instruction changes a register.
func (in *Instr) WritesTo(reg int) bool { return reg >= 0 && reg < 64 && in.Writes&(1<<reg) != 0 }

// Constants returns the numbers and addresses the instruction puts into
// registers.
func (in *Instr) Constants() (out []uint64) {
	for _, e := range in.Effects {
		if e.Kind == Constant || e.Kind == Summed && e.Src == NoReg && e.Index == NoReg {
			out = append(out, uint64(e.Imm))
		}
	}
	return out
}

func (in *Instr) write(regs ...int) {
	for _, r := range regs {
		if r >= 0 && r < 64 {
			in.Writes |= 1 << r
		}
	}
}

func (in *Instr) effect(e Effect) {
	if e.Dst == NoReg {
		return
	}
	in.Effects = append(in.Effects, e)
	in.write(e.Dst)
}
