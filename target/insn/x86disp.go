package insn

import "golang.org/x/arch/x86/x86asm"

// DecodeX86 decodes one instruction of 64-bit code. It is x86asm.Decode but for
// the displacement of memory operands, which that gives without the sign of its
// 32 bits (Intel SDM vol. 2, 2.2.1.3: "sign-extended to 64 bits during the
// effective address calculation"). The absolute address of MOV A0 to A3, which has
// 64 bits, is left alone.
func DecodeX86(code []byte) (x86asm.Inst, error) {
	in, err := x86asm.Decode(code, 64)
	if err != nil {
		return in, err
	}
	if op := in.Opcode >> 24; op >= 0xa0 && op <= 0xa3 {
		return in, nil
	}
	for i, a := range in.Args {
		if m, ok := a.(x86asm.Mem); ok && m.Disp>>32 == 0 {
			m.Disp = int64(int32(m.Disp))
			in.Args[i] = m
		}
	}
	return in, nil
}
