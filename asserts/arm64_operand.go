package asserts

import (
	"fmt"

	"github.com/ukdbg/ukdbg/target/insn"
)

// arm64Operand computes the address from the instruction at pc where FAR_EL1 is
// not told, as in a dump.
func (s *scene) arm64Operand() {
	f := s.f
	if f.Address.Known || f.InferredAddress.Known || !f.PC.Known {
		return
	}
	regs, ok := f.Regs()
	in, decoded := insn.Decode(f.Arch, s.code(f.PC.V, 4), f.PC.V)
	if !ok || !decoded || in.Access == insn.None {
		return
	}
	addr := uint64(in.Mem.Disp)
	for _, part := range [...]struct {
		reg   int
		shift uint
	}{{in.Mem.Base, 0}, {in.Mem.Index, in.Mem.Shift}} {
		if part.reg == insn.NoReg {
			continue
		}
		v, known := regs.Get(part.reg)
		if !known {
			return
		}
		addr += v << part.shift
	}
	f.InferredAddress = Value(addr)
	f.infer(fmt.Sprintf("address %#x: from the instruction at pc and the registers", addr))
}
