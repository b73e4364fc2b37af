package target

import (
	"context"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Regs is a register set indexed by DWARF number. A register that is not known
// is absent, never zero. The zero value knows none.
type Regs struct {
	Arch *arch.Arch
	val  [arch.MaxRegs]uint64
	have uint64
}

// NewRegs returns an empty set for a.
func NewRegs(a *arch.Arch) Regs { return Regs{Arch: a} }

// Get returns the register with DWARF number num; ok is false when its value
// is not known.
func (r *Regs) Get(num int) (v uint64, ok bool) {
	if num < 0 || num >= arch.MaxRegs || r.have&(1<<num) == 0 {
		return 0, false
	}
	return r.val[num], true
}

// Set makes the value of register num known. Numbers out of range are ignored.
func (r *Regs) Set(num int, v uint64) {
	if num < 0 || num >= arch.MaxRegs {
		return
	}
	r.val[num] = v
	r.have |= 1 << num
}

// Forget makes register num unknown.
func (r *Regs) Forget(num int) {
	if num >= 0 && num < arch.MaxRegs {
		r.have &^= 1 << num
	}
}

// PC returns the program counter, or 0 if it is not known.
func (r *Regs) PC() uint64 { v, _ := r.Get(r.Arch.PC); return v }

// SP returns the stack pointer, or 0 if it is not known.
func (r *Regs) SP() uint64 { v, _ := r.Get(r.Arch.SP); return v }

// FP returns the frame pointer, or 0 if it is not known.
func (r *Regs) FP() uint64 { v, _ := r.Get(r.Arch.FP); return v }

// Named returns a register by gdb's name.
func (r *Regs) Named(name string) (uint64, bool) {
	reg, ok := r.Arch.Reg(name)
	if !ok {
		return 0, false
	}
	return r.Get(reg.Num)
}

// CPU numbers a processor of the guest from 0. It is not the stub's thread id.
type CPU int

// AllCPUs stands for every processor in an Action.
const AllCPUs CPU = -1

// CPULister is the optional power to tell how many processors the guest has.
type CPULister interface {
	CPUs(ctx context.Context) ([]CPU, error)
}

// RegisterReader reads the general registers of one processor.
type RegisterReader interface {
	ReadRegisters(ctx context.Context, cpu CPU) (Regs, error)
}

// RegisterWriter changes one general register.
type RegisterWriter interface {
	WriteRegister(ctx context.Context, cpu CPU, num int, v uint64) error
}

// SystemRegisters reads the registers that are no general ones, by the name the
// source gives them (cr2, cr3, ESR_EL1, pkru, xmm0…): little-endian bytes.
type SystemRegisters interface {
	ReadSystemRegisters(ctx context.Context, cpu CPU) (map[string][]byte, error)
}
