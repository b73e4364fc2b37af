package insn

import "encoding/binary"

// sp64 is the DWARF number of arm64's stack pointer; lr64 that of the link
// register.
const (
	sp64 = 31
	lr64 = 30
)

// decodeARM64 decodes one A64 instruction. Any word is one: of those not told
// apart here the register in bits 4:0 is taken to be written.
func decodeARM64(code []byte, addr uint64) (Instr, bool) {
	if len(code) < 4 {
		return Instr{}, false
	}
	w := binary.LittleEndian.Uint32(code)
	in := Instr{Addr: addr, Len: 4, Via: NoReg, Divisor: NoReg}
	switch op0 := w >> 25 & 0xf; {
	case w>>16 == 0:
		in.Flow = Stop // udf
	case op0 == 8 || op0 == 9:
		arm64Immediate(&in, w)
	case op0 == 10 || op0 == 11:
		arm64Branch(&in, w)
	case op0&5 == 4:
		arm64LoadStore(&in, w)
	case op0 == 5 || op0 == 13:
		arm64Register(&in, w)
	case op0 == 7 || op0 == 15:
		// Vector instructions; a few move to a general register.
		if w&0x5f3ffc00 == 0x1e260000&0x5f3ffc00 || w&0xbfe0fc00 == 0x0e003c00 {
			in.write(int(w & 31))
		}
	default:
		return Instr{}, false
	}
	return in, true
}

// r64 is a register field where 31 is the zero register.
func r64(w uint32, shift uint) int {
	if r := int(w >> shift & 31); r != 31 {
		return r
	}
	return NoReg
}

// rsp64 is a register field where 31 is the stack pointer, whose DWARF number is
// 31 too.
func rsp64(w uint32, shift uint) int { return int(w >> shift & 31) }

// signed takes the n low bits of v as a signed number.
func signed(v uint32, n uint) int64 { return int64(v) << (64 - n) >> (64 - n) }

// arm64Immediate: data processing with an immediate (C4.1.86).
func arm64Immediate(in *Instr, w uint32) {
	rd := r64(w, 0)
	wide := w>>31 == 1
	switch w >> 23 & 7 {
	case 0, 1: // adr, adrp
		imm := signed(w>>5&0x7ffff<<2|w>>29&3, 21)
		v := int64(in.Addr) + imm
		if wide {
			v = int64(in.Addr&^0xfff) + imm<<12
		}
		in.effect(Effect{Dst: rd, Kind: Constant, Imm: v})
	case 2: // add, sub
		imm := int64(w >> 10 & 0xfff)
		if w>>22&1 == 1 {
			imm <<= 12
		}
		if w>>30&1 == 1 {
			imm = -imm
		}
		if w>>29&1 == 1 { // flags too: 31 is the zero register
			if rd == NoReg {
				return // cmp, cmn
			}
		} else {
			rd = rsp64(w, 0)
		}
		if !wide {
			in.write(rd)
			return
		}
		in.effect(Effect{Dst: rd, Kind: Summed, Src: rsp64(w, 5), Index: NoReg, Imm: imm})
	case 5: // movn, movz, movk
		imm, shift := int64(w>>5&0xffff), uint(w>>21&3*16)
		switch w >> 29 & 3 {
		case 0:
			v := ^(imm << shift)
			if !wide {
				v = int64(uint32(v))
			}
			in.effect(Effect{Dst: rd, Kind: Constant, Imm: v})
		case 2:
			in.effect(Effect{Dst: rd, Kind: Constant, Imm: imm << shift})
		default:
			in.effect(Effect{Dst: rd, Kind: Inserted, Src: rd, Index: NoReg, Imm: imm, Shift: shift}) // movk
		}
	case 4: // logical
		if w>>29&3 == 3 {
			in.write(rd)
		} else {
			in.write(rsp64(w, 0))
		}
	default:
		in.write(rd)
	}
}

// arm64Branch: branches, exceptions, system instructions (C4.1.87).
func arm64Branch(in *Instr, w uint32) {
	jump := func(imm int64, f Flow) {
		in.Flow, in.Target, in.Direct = f, in.Addr+uint64(imm), true
	}
	switch {
	case w&0x7c000000 == 0x14000000: // b, bl
		f := Jump
		if w>>31 == 1 {
			f = Call
			in.write(lr64)
		}
		jump(signed(w&0x3ffffff, 26)<<2, f)
	case w&0xff000010 == 0x54000000, w&0x7e000000 == 0x34000000: // b.cond, cbz, cbnz
		jump(signed(w>>5&0x7ffff, 19)<<2, Branch)
	case w&0x7e000000 == 0x36000000: // tbz, tbnz
		jump(signed(w>>5&0x3fff, 14)<<2, Branch)
	case w&0xfe000000 == 0xd6000000: // br, blr, ret and their forms with authentication
		switch w >> 21 & 7 {
		case 0:
			in.Flow, in.Via = Jump, r64(w, 5)
		case 1:
			in.Flow, in.Via = Call, r64(w, 5)
			in.write(lr64)
		default:
			in.Flow = Stop
		}
	case w&0xff000000 == 0xd4000000: // svc, brk, hlt
		if w&0xffe0001f == 0xd4200000 || w&0xffe0001f == 0xd4400000 {
			in.Flow = Stop
		} else {
			in.write(0)
		}
	case w&0xfff00000 == 0xd5300000: // mrs
		in.write(r64(w, 0))
	}
}

// arm64Register: data processing on registers (C4.1.89).
func arm64Register(in *Instr, w uint32) {
	rd, rn, rm := r64(w, 0), r64(w, 5), r64(w, 16)
	wide := w>>31 == 1
	switch {
	case w&0x7fe0ffe0 == 0x2a0003e0: // mov
		if rm == NoReg {
			in.effect(Effect{Dst: rd, Kind: Constant})
		} else {
			in.effect(Effect{Dst: rd, Kind: Copied, Src: rm, Index: NoReg})
		}
	case w&0x7f200000 == 0x0b000000 && wide && w>>22&3 == 0 && rn != NoReg: // add, shifted
		in.effect(Effect{Dst: rd, Kind: Summed, Src: rn, Index: rm, Shift: uint(w >> 10 & 63)})
	case w&0x7fe00000 == 0x0b200000 && wide: // add, extended
		in.effect(Effect{Dst: rsp64(w, 0), Kind: Summed, Src: rsp64(w, 5), Index: rm, Shift: uint(w >> 10 & 7)})
	case w&0x3fe00000 == 0x3a400000: // ccmp, ccmn write flags only
	default:
		in.write(rd)
	}
}

// arm64LoadStore: loads and stores (C4.1.88).
func arm64LoadStore(in *Instr, w uint32) {
	vector := w>>26&1 == 1
	switch {
	case w&0x3b000000 == 0x18000000: // ldr of a literal
		size := 4 << (w >> 30 & 1)
		in.Mem = Mem{Base: NoReg, Index: NoReg, Disp: int64(in.Addr) + signed(w>>5&0x7ffff, 19)<<2, Size: size}
		if w>>30 == 3 {
			return // prfm
		}
		in.Access = Read
		in.load(r64(w, 0), in.Mem, vector)
	case w&0x3a000000 == 0x28000000:
		arm64Pair(in, w, vector)
	case w&0x3b000000 == 0x39000000: // unsigned offset
		size := arm64Size(w, vector)
		arm64Single(in, w, vector, Mem{Base: rsp64(w, 5), Index: NoReg, Disp: int64(w>>10&0xfff) * int64(size), Size: size})
	case w&0x3b200000 == 0x38000000: // unscaled, post-indexed, unprivileged, pre-indexed
		size, imm := arm64Size(w, vector), signed(w>>12&0x1ff, 9)
		m := Mem{Base: rsp64(w, 5), Index: NoReg, Disp: imm, Size: size}
		switch w >> 10 & 3 {
		case 1:
			m.Disp = 0
			fallthrough
		case 3:
			in.effect(Effect{Dst: m.Base, Kind: Summed, Src: m.Base, Index: NoReg, Imm: imm})
		}
		arm64Single(in, w, vector, m)
	case w&0x3b200c00 == 0x38200800: // register offset
		size := arm64Size(w, vector)
		m := Mem{Base: rsp64(w, 5), Index: r64(w, 16), Size: size}
		if w>>12&1 == 1 {
			for s := size; s > 1; s >>= 1 {
				m.Shift++
			}
		}
		arm64Single(in, w, vector, m)
	case w&0x3b200c00 == 0x38200000: // atomics
		in.Mem = Mem{Base: rsp64(w, 5), Index: NoReg, Size: 1 << (w >> 30)}
		in.Access = ReadWrite
		in.write(r64(w, 0))
	case w&0x3f000000 == 0x08000000: // exclusive, ordered, compare and swap
		in.Mem = Mem{Base: rsp64(w, 5), Index: NoReg, Size: 1 << (w >> 30)}
		switch load, ordered := w>>22&1 == 1, w>>23&1 == 1; {
		case w>>21&1 == 1 && ordered:
			in.Access = ReadWrite // cas
			in.write(r64(w, 16))
		case load:
			in.Access = Read
			in.load(r64(w, 0), in.Mem, false)
		default:
			in.Access = Write
			in.write(r64(w, 16))
		}
	case w&0x3b200400 == 0x38200400: // with authentication (ldraa)
		in.Mem = Mem{Base: rsp64(w, 5), Index: NoReg, Size: 8}
		in.Access = Read
		in.write(r64(w, 0), rsp64(w, 5))
	default:
		if !vector {
			in.write(r64(w, 0))
		}
	}
}

// arm64Size is the size in bytes of what a single load or store moves.
func arm64Size(w uint32, vector bool) int {
	size := w >> 30
	if vector && w>>23&1 == 1 {
		size |= 4
	}
	return 1 << size
}

// arm64Single: a load or store of one register.
func arm64Single(in *Instr, w uint32, vector bool, m Mem) {
	opc := w >> 22 & 3
	if !vector && w>>30 == 3 && opc == 2 {
		return // prfm
	}
	in.Mem, in.Access = m, Read
	if opc == 0 || vector && opc == 2 {
		in.Access = Write
		return
	}
	in.load(r64(w, 0), m, vector)
}

// arm64Pair: a load or store of two registers.
func arm64Pair(in *Instr, w uint32, vector bool) {
	opc := w >> 30
	size := int64(4) << (opc >> 1)
	if vector {
		size = 4 << opc
	}
	imm := signed(w>>15&0x7f, 7) * size
	m := Mem{Base: rsp64(w, 5), Index: NoReg, Disp: imm, Size: int(size)}
	switch w >> 23 & 3 {
	case 1:
		m.Disp = 0
		fallthrough
	case 3:
		in.effect(Effect{Dst: m.Base, Kind: Summed, Src: m.Base, Index: NoReg, Imm: imm})
	}
	second := m
	second.Disp += size
	in.Mem, in.Access = m, Write
	in.Mem.Size = int(2 * size)
	if w>>22&1 == 1 {
		in.Access = Read
		in.load(r64(w, 0), m, vector)
		in.load(r64(w, 10), second, vector)
	}
}

// load notes that a general register is Loaded.
func (in *Instr) load(dst int, m Mem, vector bool) {
	if !vector && dst != NoReg {
		in.effect(Effect{Dst: dst, Kind: Loaded, Mem: m})
	}
}
