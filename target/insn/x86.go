package insn

import (
	"bytes"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/ukdbg/ukdbg/target/arch"
)

// x86Odd are instructions the decoder does not know, and the registers they
// write.
var x86Odd = [...]struct {
	code   string
	writes string
	stop   bool
}{
	{code: "\xf3\x0f\x1e\xfa"}, {code: "\xf3\x0f\x1e\xfb"}, // endbr64, endbr32
	{code: "\x0f\x01\xca"}, {code: "\x0f\x01\xcb"}, // clac, stac
	{code: "\x0f\x01\xee", writes: "\x00\x01"}, // rdpkru: eax, edx
	{code: "\x0f\x01\xef"},                     // wrpkru
	{code: "\x67\x0f\xb9\x00", stop: true},     // ud1l (%eax),%eax
}

// decodeX86 decodes one instruction of 64-bit code.
func decodeX86(code []byte, addr uint64) (Instr, bool) {
	for _, o := range x86Odd {
		if bytes.HasPrefix(code, []byte(o.code)) {
			in := Instr{Addr: addr, Len: len(o.code), Via: NoReg, Divisor: NoReg}
			for _, r := range []byte(o.writes) {
				in.write(int(r))
			}
			if o.stop {
				in.Flow = Stop
			}
			return in, true
		}
	}
	if len(code) >= 5 && code[0] == 0x67 && code[1] == 0x0f && code[2] == 0xb9 && code[3] == 0x40 {
		return Instr{Addr: addr, Len: 5, Flow: Stop, Via: NoReg, Divisor: NoReg}, true
	}
	x, err := DecodeX86(code)
	if err != nil || x.Len < 1 || x.Len > len(code) {
		return Instr{}, false
	}
	in := Instr{Addr: addr, Len: x.Len, Via: NoReg, Divisor: NoReg}
	x86Flow(&in, x)
	x86Memory(&in, x)
	x86Writes(&in, x)
	return in, true
}

func x86Flow(in *Instr, x x86asm.Inst) {
	switch x.Op {
	case x86asm.CALL:
		in.Flow = Call
	case x86asm.JMP:
		in.Flow = Jump
	case x86asm.RET, x86asm.LRET, x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.UD1, x86asm.UD2, x86asm.SYSRET, x86asm.SYSEXIT:
		in.Flow = Stop
		return
	default:
		if _, rel := x.Args[0].(x86asm.Rel); !rel {
			return
		}
		in.Flow = Branch // jcc, loop, jrcxz
	}
	switch a := x.Args[0].(type) {
	case x86asm.Rel:
		in.Target, in.Direct = in.Addr+uint64(in.Len)+uint64(int64(a)), true
	case x86asm.Reg:
		in.Via, _ = x86Number(a)
	}
}

// x86Memory finds the one memory operand that is accessed.
func x86Memory(in *Instr, x x86asm.Inst) {
	for i, a := range x.Args {
		m, ok := a.(x86asm.Mem)
		if !ok {
			continue
		}
		if in.Access != None {
			in.Access = None // two operands: which is meant is not known
			return
		}
		in.Mem = x86Mem(in, x, m)
		switch x.Op {
		case x86asm.LEA, x86asm.NOP, x86asm.PREFETCHT0, x86asm.PREFETCHT1, x86asm.PREFETCHT2, x86asm.PREFETCHNTA, x86asm.PREFETCHW:
			return
		}
		in.Access = x86Access(x.Op, i)
	}
}

func x86Access(op x86asm.Op, arg int) Access {
	if arg > 0 {
		if op == x86asm.XCHG || op == x86asm.XADD {
			return ReadWrite
		}
		return Read
	}
	switch op {
	case x86asm.MOV, x86asm.MOVAPS, x86asm.MOVUPS, x86asm.MOVAPD, x86asm.MOVUPD, x86asm.MOVQ, x86asm.MOVD, x86asm.MOVDQA, x86asm.MOVDQU,
		x86asm.MOVNTI, x86asm.MOVNTPS, x86asm.MOVNTDQ, x86asm.MOVSD_XMM, x86asm.MOVSS, x86asm.MOVLPS, x86asm.MOVHPS, x86asm.POP,
		x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETG, x86asm.SETGE, x86asm.SETL, x86asm.SETLE,
		x86asm.SETNE, x86asm.SETNO, x86asm.SETNP, x86asm.SETNS, x86asm.SETO, x86asm.SETP, x86asm.SETS:
		return Write
	case x86asm.CMP, x86asm.TEST, x86asm.PUSH, x86asm.CALL, x86asm.JMP, x86asm.MUL, x86asm.IMUL, x86asm.DIV, x86asm.IDIV, x86asm.BT:
		return Read
	}
	return ReadWrite
}

func x86Mem(in *Instr, x x86asm.Inst, m x86asm.Mem) Mem {
	out := Mem{Base: NoReg, Index: NoReg, Disp: m.Disp, Size: x.MemBytes}
	if m.Segment == x86asm.FS || m.Segment == x86asm.GS {
		out.Segment = true
	}
	if m.Base == x86asm.RIP {
		out.Disp += int64(in.Addr) + int64(in.Len)
	} else if n, ok := x86Number(m.Base); ok {
		out.Base = n
	}
	if n, ok := x86Number(m.Index); ok && m.Scale > 0 {
		out.Index = n
		for s := m.Scale; s > 1; s >>= 1 {
			out.Shift++
		}
	}
	return out
}

// x86Writes notes which registers an instruction changes, and how.
func x86Writes(in *Instr, x x86asm.Inst) {
	reg := func(name string) int { r, _ := arch.X86_64.Reg(name); return r.Num }
	dst, wide, isReg := x86Dst(x)
	src, srcIsReg := NoReg, false
	if r, ok := x.Args[1].(x86asm.Reg); ok {
		src, srcIsReg = x86Number(r)
	}
	switch x.Op {
	case x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.NOP, x86asm.JMP:
		return
	case x86asm.PUSH, x86asm.CALL:
		if x.Op == x86asm.PUSH {
			in.effect(Effect{Dst: reg("rsp"), Kind: Summed, Src: reg("rsp"), Index: NoReg, Imm: -8})
		}
		return // a call's push is undone by its return
	case x86asm.POP:
		if isReg {
			in.effect(Effect{Dst: dst, Kind: Loaded, Mem: Mem{Base: reg("rsp"), Index: NoReg, Size: 8}})
		}
		if dst != reg("rsp") {
			in.effect(Effect{Dst: reg("rsp"), Kind: Summed, Src: reg("rsp"), Index: NoReg, Imm: 8})
		}
		return
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD:
		if !isReg {
			return
		}
		switch a := x.Args[1].(type) {
		case x86asm.Reg:
			if srcIsReg && wide {
				in.effect(Effect{Dst: dst, Kind: Copied, Src: src, Index: NoReg})
				return
			}
		case x86asm.Imm:
			if wide {
				v := int64(a)
				if x.DataSize == 32 {
					v = int64(uint32(v))
				}
				in.effect(Effect{Dst: dst, Kind: Constant, Imm: v})
				return
			}
		case x86asm.Mem:
			if wide {
				in.effect(Effect{Dst: dst, Kind: Loaded, Mem: in.Mem})
				return
			}
		}
	case x86asm.LEA:
		if isReg && wide {
			in.effect(Effect{Dst: dst, Kind: Summed, Src: in.Mem.Base, Index: in.Mem.Index, Shift: in.Mem.Shift, Imm: in.Mem.Disp})
			return
		}
	case x86asm.ADD, x86asm.SUB, x86asm.INC, x86asm.DEC:
		if isReg && wide {
			if e, ok := x86Sum(x, dst, src, srcIsReg); ok {
				in.effect(e)
				return
			}
		}
	case x86asm.XOR:
		if isReg && srcIsReg && dst == src && x.Args[0] == x.Args[1] {
			in.effect(Effect{Dst: dst, Kind: Constant})
			return
		}
	case x86asm.LEAVE:
		in.write(reg("rsp"), reg("rbp"))
		return
	case x86asm.XCHG, x86asm.XADD:
		in.write(src)
	case x86asm.DIV, x86asm.IDIV:
		if isReg {
			in.Divisor = dst
		}
		in.write(reg("rax"), reg("rdx"))
		return
	case x86asm.MUL, x86asm.RDTSC, x86asm.RDMSR:
		in.write(reg("rax"), reg("rdx"))
		return
	case x86asm.IMUL:
		if x.Args[1] == nil {
			in.write(reg("rax"), reg("rdx"))
			return
		}
	case x86asm.CDQ, x86asm.CQO, x86asm.CWD:
		in.write(reg("rdx"))
	case x86asm.CBW, x86asm.CWDE, x86asm.CDQE, x86asm.CMPXCHG, x86asm.CMPXCHG8B, x86asm.CMPXCHG16B, x86asm.IN, x86asm.LODSB, x86asm.LODSD, x86asm.LODSQ, x86asm.LODSW:
		in.write(reg("rax"), reg("rdx"), reg("rsi"))
	case x86asm.MOVSB, x86asm.MOVSD, x86asm.MOVSQ, x86asm.MOVSW, x86asm.STOSB, x86asm.STOSD, x86asm.STOSQ, x86asm.STOSW,
		x86asm.CMPSB, x86asm.CMPSD, x86asm.CMPSQ, x86asm.CMPSW, x86asm.SCASB, x86asm.SCASD, x86asm.SCASQ, x86asm.SCASW:
		in.write(reg("rcx"), reg("rsi"), reg("rdi"))
		return
	case x86asm.CPUID, x86asm.RDTSCP, x86asm.XGETBV, x86asm.RDPMC:
		in.write(reg("rax"), reg("rbx"), reg("rcx"), reg("rdx"))
	case x86asm.SYSCALL:
		in.write(reg("rax"), reg("rcx"), reg("r11"))
	}
	if isReg {
		in.write(dst)
	}
}

// x86Sum is the Effect of an addition or subtraction on a register.
func x86Sum(x x86asm.Inst, dst, src int, srcIsReg bool) (Effect, bool) {
	e := Effect{Dst: dst, Kind: Summed, Src: dst, Index: NoReg}
	switch {
	case x.Op == x86asm.INC:
		e.Imm = 1
	case x.Op == x86asm.DEC:
		e.Imm = -1
	default:
		if v, ok := x.Args[1].(x86asm.Imm); ok {
			e.Imm = int64(v)
			if x.Op == x86asm.SUB {
				e.Imm = -e.Imm
			}
		} else if srcIsReg && x.Op == x86asm.ADD {
			e.Index = src
		} else {
			return Effect{}, false
		}
	}
	return e, true
}

// x86Dst is the register that is an instruction's first operand; wide if all of
// it is written.
func x86Dst(x x86asm.Inst) (num int, wide, ok bool) {
	r, isReg := x.Args[0].(x86asm.Reg)
	if !isReg {
		return NoReg, false, false
	}
	num, ok = x86Number(r)
	wide = r >= x86asm.RAX && r <= x86asm.R15 || r >= x86asm.EAX && r <= x86asm.R15L
	return num, wide, ok
}

// x86Number is the DWARF number of the whole register that r is or is part of.
func x86Number(r x86asm.Reg) (int, bool) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
	case r >= x86asm.EAX && r <= x86asm.R15L:
		r = x86asm.RAX + (r - x86asm.EAX)
	case r >= x86asm.AX && r <= x86asm.R15W:
		r = x86asm.RAX + (r - x86asm.AX)
	case r >= x86asm.AL && r <= x86asm.BL:
		r = x86asm.RAX + (r - x86asm.AL)
	case r >= x86asm.AH && r <= x86asm.BH:
		r = x86asm.RAX + (r - x86asm.AH)
	case r >= x86asm.SPB && r <= x86asm.R15B:
		r = x86asm.RSP + (r - x86asm.SPB)
	default:
		return NoReg, false
	}
	reg, ok := arch.X86_64.Reg(strings.ToLower(r.String()))
	return reg.Num, ok
}
