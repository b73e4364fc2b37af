package asserts

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/ukdbg/ukdbg/target/insn"
)

// operand is the one memory operand of an instruction.
type operand struct {
	addr   Word
	access Access
	ret    bool   // the instruction is a return
	text   string // in gdb's syntax
}

// x86Operand decodes the instruction in code, which stands at pc, and computes
// its memory operand from the fault's registers. ok is false if there are no
// bytes or they are no instruction.
func (s *scene) x86Operand(code []byte) (op operand, ok bool) {
	if len(code) == 0 {
		return operand{}, false
	}
	inst, err := insn.DecodeX86(code)
	if err != nil || inst.Len == 0 {
		return operand{}, false
	}
	op.text = strings.Join(strings.Fields(x86asm.GNUSyntax(inst, s.f.PC.V, nil)), " ")
	op.ret = inst.Op == x86asm.RET
	mems := 0
	for i, a := range inst.Args {
		m, isMem := a.(x86asm.Mem)
		if !isMem {
			continue
		}
		if mems++; mems > 1 {
			return operand{text: op.text}, true // two operands: which one is not known
		}
		if inst.Op == x86asm.LEA || inst.Op == x86asm.NOP {
			return op, true
		}
		op.addr = s.effective(m, inst)
		op.access = accessOf(inst.Op, i)
	}
	if mems == 0 {
		s.implicitStack(inst.Op, &op)
	}
	return op, true
}

// implicitStack gives the stack slot of instructions without a memory operand.
func (s *scene) implicitStack(code x86asm.Op, op *operand) {
	sp := s.f.Reg("rsp")
	if !sp.Known {
		return
	}
	switch code {
	case x86asm.PUSH, x86asm.CALL:
		op.addr, op.access = Value(sp.V-8), Write
	case x86asm.POP, x86asm.RET:
		op.addr, op.access = sp, Read
	}
}

// effective computes base + index·scale + displacement.
func (s *scene) effective(m x86asm.Mem, inst x86asm.Inst) Word {
	addr := uint64(m.Disp)
	switch m.Segment {
	case x86asm.FS, x86asm.GS:
		base := s.f.Reg(strings.ToLower(m.Segment.String()) + "_base")
		if !base.Known {
			return Word{}
		}
		addr += base.V
	}
	add := func(r x86asm.Reg, scale uint64) bool {
		if r == 0 {
			return true
		}
		v := s.x86Reg(r)
		addr += v.V * scale
		return v.Known
	}
	if m.Base == x86asm.RIP {
		addr += s.f.PC.V + uint64(inst.Len)
	} else if !add(m.Base, 1) {
		return Word{}
	}
	if !add(m.Index, uint64(m.Scale)) {
		return Word{}
	}
	if inst.AddrSize == 32 {
		addr &= 0xffffffff
	}
	return Value(addr)
}

// x86Reg returns the value of a register operand of any width.
func (s *scene) x86Reg(r x86asm.Reg) Word {
	quad, bits, shift := r, 64, 0
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
	case r >= x86asm.EAX && r <= x86asm.R15L:
		quad, bits = x86asm.RAX+(r-x86asm.EAX), 32
	case r >= x86asm.AX && r <= x86asm.R15W:
		quad, bits = x86asm.RAX+(r-x86asm.AX), 16
	case r >= x86asm.AL && r <= x86asm.BL:
		quad, bits = x86asm.RAX+(r-x86asm.AL), 8
	case r >= x86asm.AH && r <= x86asm.BH:
		quad, bits, shift = x86asm.RAX+(r-x86asm.AH), 8, 8
	case r >= x86asm.SPB && r <= x86asm.R15B:
		quad, bits = x86asm.RSP+(r-x86asm.SPB), 8
	default:
		return Word{}
	}
	v := s.f.Reg(strings.ToLower(quad.String()))
	v.V >>= shift
	if bits < 64 {
		v.V &= 1<<bits - 1
	}
	return v
}

// accessOf says what an instruction does with its memory operand, where that is
// beyond doubt: "" for those that read and write.
func accessOf(op x86asm.Op, arg int) Access {
	if arg > 0 {
		return Read
	}
	switch op {
	case x86asm.MOV, x86asm.MOVAPS, x86asm.MOVUPS, x86asm.MOVQ, x86asm.MOVD, x86asm.MOVDQA, x86asm.MOVDQU,
		x86asm.MOVNTI, x86asm.MOVNTPS, x86asm.MOVSD_XMM, x86asm.MOVSS, x86asm.POP:
		return Write
	case x86asm.CMP, x86asm.TEST, x86asm.PUSH, x86asm.CALL, x86asm.JMP, x86asm.MUL, x86asm.DIV, x86asm.IDIV:
		return Read
	}
	return ""
}

// x86Divisor returns the divisor of a div or idiv in code.
func (s *scene) x86Divisor(code []byte) Word {
	if len(code) == 0 {
		return Word{}
	}
	inst, err := insn.DecodeX86(code)
	if err != nil || inst.Op != x86asm.DIV && inst.Op != x86asm.IDIV {
		return Word{}
	}
	switch a := inst.Args[0].(type) {
	case x86asm.Reg:
		return s.x86Reg(a)
	case x86asm.Mem:
		addr := s.effective(a, inst)
		if !addr.Known {
			return Word{}
		}
		w := s.word(addr.V)
		if bits := inst.DataSize; bits > 0 && bits < 64 {
			w.V &= 1<<bits - 1
		}
		return w
	}
	return Word{}
}
