package insn

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

const at = 0x100000

// Registers by DWARF number.
const (
	rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp = 0, 1, 2, 3, 4, 5, 6, 7
)

func x86(t *testing.T, code string) Instr {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(code, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	in, ok := Decode(arch.X86_64, b, at)
	if !ok || in.Len != len(b) {
		t.Fatalf("%s: decoded %v, %d bytes", code, ok, in.Len)
	}
	return in
}

func arm(t *testing.T, word uint32) Instr {
	t.Helper()
	in, ok := Decode(arch.ARM64, binary.LittleEndian.AppendUint32(nil, word), at)
	if !ok || in.Len != 4 {
		t.Fatalf("%#x: decoded %v, %d bytes", word, ok, in.Len)
	}
	return in
}

func mem(base, index int, shift uint, disp int64, size int) Mem {
	return Mem{Base: base, Index: index, Shift: shift, Disp: disp, Size: size}
}

// TestMemory: operands are those that objdump shows for the bytes.
func TestMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		in     Instr
		mem    Mem
		access Access
	}{
		"mov 0x8(%rax),%eax":          {x86(t, "8b 40 08"), mem(rax, NoReg, 0, 8, 4), Read},
		"mov %eax,(%rbx)":             {x86(t, "89 03"), mem(rbx, NoReg, 0, 0, 4), Write},
		"movb $1,-1(%rbx)":            {x86(t, "c6 43 ff 01"), mem(rbx, NoReg, 0, -1, 1), Write},
		"mov table(,%rax,8),%rax":     {x86(t, "48 8b 04 c5 10 b2 23 00"), mem(NoReg, rax, 3, 0x23b210, 8), Read},
		"mov 0x10(%rip),%rax":         {x86(t, "48 8b 05 10 00 00 00"), mem(NoReg, NoReg, 0, at+7+0x10, 8), Read},
		"addl $1,(%rdi)":              {x86(t, "83 07 01"), mem(rdi, NoReg, 0, 0, 4), ReadWrite},
		"cmpq $0,0x10(%rdi)":          {x86(t, "48 83 7f 10 00"), mem(rdi, NoReg, 0, 16, 8), Read},
		"ldr x1, [x0, #16]":           {arm(t, 0xf9400801), mem(0, NoReg, 0, 16, 8), Read},
		"ldr w1, [x1]":                {arm(t, 0xb9400021), mem(1, NoReg, 0, 0, 4), Read},
		"str w1, [x0, #84]":           {arm(t, 0xb9005401), mem(0, NoReg, 0, 84, 4), Write},
		"ldrb w0, [x1], #1":           {arm(t, 0x38401420), mem(1, NoReg, 0, 0, 1), Read},
		"stp x29, x30, [sp, #-48]!":   {arm(t, 0xa9bd7bfd), mem(31, NoReg, 0, -48, 16), Write},
		"ldp x19, x20, [sp, #16]":     {arm(t, 0xa94153f3), mem(31, NoReg, 0, 16, 16), Read},
		"ldr w1, [x2, x1, lsl #2]":    {arm(t, 0xb8617841), mem(2, 1, 2, 0, 4), Read},
		"ldr x8, [x8, w1, uxtw #3]":   {arm(t, 0xf8615908), mem(8, 1, 3, 0, 8), Read},
		"ldur x0, [x29, #-8]":         {arm(t, 0xf85f83a0), mem(29, NoReg, 0, -8, 8), Read},
		"ldaxr w0, [x1]":              {arm(t, 0x885ffc20), mem(1, NoReg, 0, 0, 4), Read},
		"stlr w0, [x1]":               {arm(t, 0x889ffc20), mem(1, NoReg, 0, 0, 4), Write},
		"ldadd w0, w2, [x1]":          {arm(t, 0xb8200022), mem(1, NoReg, 0, 0, 4), ReadWrite},
		"str q0, [x0, #32]":           {arm(t, 0x3d800800), mem(0, NoReg, 0, 32, 16), Write},
		"lea 8(%rdi),%rax: no access": {x86(t, "48 8d 47 08"), mem(rdi, NoReg, 0, 8, 0), None},
	} {
		if tt.in.Access != tt.access {
			t.Errorf("%s: access %d, want %d", name, tt.in.Access, tt.access)
		}
		if tt.access != None && tt.in.Mem != tt.mem {
			t.Errorf("%s: %+v, want %+v", name, tt.in.Mem, tt.mem)
		}
	}
}

func TestEffects(t *testing.T) {
	for name, tt := range map[string]struct {
		in   Instr
		want Effect
	}{
		"mov %rdi,%rbx":        {x86(t, "48 89 fb"), Effect{Dst: rbx, Kind: Copied, Src: rdi, Index: NoReg}},
		"mov $0x10ae70,%ecx":   {x86(t, "b9 70 ae 10 00"), Effect{Dst: rcx, Kind: Constant, Imm: 0x10ae70}},
		"xor %eax,%eax":        {x86(t, "31 c0"), Effect{Dst: rax, Kind: Constant}},
		"lea 4(%rdx,%rax,4)":   {x86(t, "48 8d 44 82 04"), Effect{Dst: rax, Kind: Summed, Src: rdx, Index: rax, Shift: 2, Imm: 4}},
		"add $1,%rbx":          {x86(t, "48 83 c3 01"), Effect{Dst: rbx, Kind: Summed, Src: rbx, Index: NoReg, Imm: 1}},
		"sub $0x18,%rsp":       {x86(t, "48 83 ec 18"), Effect{Dst: rsp, Kind: Summed, Src: rsp, Index: NoReg, Imm: -0x18}},
		"mov 0x10(%rdi),%rax":  {x86(t, "48 8b 47 10"), Effect{Dst: rax, Kind: Loaded, Mem: mem(rdi, NoReg, 0, 16, 8)}},
		"pop %rbp":             {x86(t, "5d"), Effect{Dst: rbp, Kind: Loaded, Mem: mem(rsp, NoReg, 0, 0, 8)}},
		"mov x19, x0":          {arm(t, 0xaa0003f3), Effect{Dst: 19, Kind: Copied, Src: 0, Index: NoReg}},
		"mov x1, #0x6b68":      {arm(t, 0xd28d6d01), Effect{Dst: 1, Kind: Constant, Imm: 0x6b68}},
		"movk x1,#0x6b6b,ls16": {arm(t, 0xf2ad6d61), Effect{Dst: 1, Kind: Inserted, Src: 1, Index: NoReg, Imm: 0x6b6b, Shift: 16}},
		"adrp x8, .+0x1000":    {arm(t, 0xb0000008), Effect{Dst: 8, Kind: Constant, Imm: at + 0x1000}},
		"adr x9, .+40":         {arm(t, 0x10000149), Effect{Dst: 9, Kind: Constant, Imm: at + 40}},
		"add x8, x8, #0x78":    {arm(t, 0x9101e108), Effect{Dst: 8, Kind: Summed, Src: 8, Index: NoReg, Imm: 0x78}},
		"mov x29, sp":          {arm(t, 0x910003fd), Effect{Dst: 29, Kind: Summed, Src: 31, Index: NoReg}},
		"add x20, x0, x1":      {arm(t, 0x8b010014), Effect{Dst: 20, Kind: Summed, Src: 0, Index: 1}},
		"strb w21,[x19],#1":    {arm(t, 0x38001675), Effect{Dst: 19, Kind: Summed, Src: 19, Index: NoReg, Imm: 1}},
	} {
		got, ok := tt.in.Effect(tt.want.Dst)
		if !ok || got != tt.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, ok, tt.want)
		}
		if !tt.in.WritesTo(tt.want.Dst) {
			t.Errorf("%s: does not say that it writes %d", name, tt.want.Dst)
		}
	}
}

// TestWrites: what is not told apart still counts as a write.
func TestWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		in   Instr
		regs []int
	}{
		"idiv %ecx":          {x86(t, "f7 f9"), []int{rax, rdx}},
		"and $7,%eax":        {x86(t, "83 e0 07"), []int{rax}},
		"mov %al,%bl":        {x86(t, "88 c3"), []int{rbx}},
		"xchg %rax,%rbx":     {x86(t, "48 87 d8"), []int{rax, rbx}},
		"leave":              {x86(t, "c9"), []int{rsp, rbp}},
		"cpuid":              {x86(t, "0f a2"), []int{rax, rbx, rcx, rdx}},
		"rep movsb":          {x86(t, "f3 a4"), []int{rcx, rsi, rdi}},
		"rdpkru":             {x86(t, "0f 01 ee"), []int{rax, rdx}},
		"endbr64":            {x86(t, "f3 0f 1e fa"), nil},
		"mul x0, x1, x2":     {arm(t, 0x9b027c20), []int{0}},
		"csel x0, x1, x2,eq": {arm(t, 0x9a820020), []int{0}},
		"bl":                 {arm(t, 0x94000001), []int{30}},
		"cas w0, w1, [x2]":   {arm(t, 0x88a07c41), []int{0}},
		"cmp x0, #1":         {arm(t, 0xf100041f), nil},
		"nop":                {arm(t, 0xd503201f), nil},
	} {
		var want uint64
		for _, r := range tt.regs {
			want |= 1 << r
		}
		if tt.in.Writes != want {
			t.Errorf("%s: writes %#x, want %#x", name, tt.in.Writes, want)
		}
	}
}

func TestFlow(t *testing.T) {
	for name, tt := range map[string]struct {
		in     Instr
		flow   Flow
		target uint64
		via    int
	}{
		"call rel32":    {x86(t, "e8 fb 0f 00 00"), Call, at + 0x1000, NoReg},
		"call *%rax":    {x86(t, "ff d0"), Call, 0, rax},
		"call *8(%rbx)": {x86(t, "ff 53 08"), Call, 0, NoReg},
		"jae .+6":       {x86(t, "73 04"), Branch, at + 6, NoReg},
		"jmp *%rcx":     {x86(t, "ff e1"), Jump, 0, rcx},
		"ret":           {x86(t, "c3"), Stop, 0, NoReg},
		"ud2":           {x86(t, "0f 0b"), Stop, 0, NoReg},
		"ud1l 2(%eax)":  {x86(t, "67 0f b9 40 02"), Stop, 0, NoReg},
		"ud1l (%eax)":   {x86(t, "67 0f b9 00"), Stop, 0, NoReg},
		"b .+8":         {arm(t, 0x14000002), Jump, at + 8, NoReg},
		"bl .+4":        {arm(t, 0x94000001), Call, at + 4, NoReg},
		"b.hs .+16":     {arm(t, 0x54000082), Branch, at + 16, NoReg},
		"cbz x0, .+8":   {arm(t, 0xb4000040), Branch, at + 8, NoReg},
		"tbz w0,#0,.+8": {arm(t, 0x36000040), Branch, at + 8, NoReg},
		"blr x8":        {arm(t, 0xd63f0100), Call, 0, 8},
		"br x16":        {arm(t, 0xd61f0200), Jump, 0, 16},
		"ret ":          {arm(t, 0xd65f03c0), Stop, 0, NoReg},
		"brk #0x5502":   {arm(t, 0xd42aa040), Stop, 0, NoReg},
		"udf":           {arm(t, 0x0000deff), Stop, 0, NoReg},
	} {
		if tt.in.Flow != tt.flow || tt.in.Target != tt.target || tt.in.Via != tt.via || tt.in.Direct != (tt.target != 0) {
			t.Errorf("%s: flow %d to %#x (%v) via %d, want %d to %#x via %d", name, tt.in.Flow, tt.in.Target, tt.in.Direct, tt.in.Via, tt.flow, tt.target, tt.via)
		}
	}
}

// FuzzDecode: any bytes; an instruction is never longer than they are, and its
// registers exist.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x8b, 0x40, 0x08}, true)
	f.Add([]byte{0x67, 0x0f, 0xb9, 0x40, 0x02}, true)
	f.Add([]byte{0xff, 0x53, 0x08}, true)
	f.Add([]byte{0x01, 0x08, 0x40, 0xf9}, false)
	f.Add([]byte{0x61, 0x6d, 0xad, 0xf2}, false)
	f.Fuzz(func(t *testing.T, code []byte, isX86 bool) {
		if len(code) > 32 {
			return
		}
		a := arch.ARM64
		if isX86 {
			a = arch.X86_64
		}
		in, ok := Decode(a, code, at)
		if !ok {
			return
		}
		if in.Len < 1 || in.Len > len(code) {
			t.Fatalf("%d of %d bytes", in.Len, len(code))
		}
		for _, r := range []int{in.Mem.Base, in.Mem.Index, in.Via, in.Divisor} {
			if r < NoReg || r >= arch.MaxRegs {
				t.Fatalf("register %d", r)
			}
		}
		for _, e := range in.Effects {
			if !in.WritesTo(e.Dst) {
				t.Fatalf("%+v writes %d and does not say so", in, e.Dst)
			}
		}
	})
}

// TestX86Displacement: 32 bits of displacement are signed, the address of a MOV
// with one of its own is not cut.
func TestX86Displacement(t *testing.T) {
	for code, want := range map[string]Mem{
		"\x40\x88\xbc\x1d\xf0\xfe\xff\xff":         mem(6, 3, 0, -0x110, 1), // mov %dil,-0x110(%rbp,%rbx)
		"\x8b\x05\xf0\xff\xff\xff":                 mem(NoReg, NoReg, 0, 0x1000+6-16, 4),
		"\x8b\x04\x25\x00\x00\x00\x80":             mem(NoReg, NoReg, 0, -0x80000000, 4),
		"\xa1\x00\x00\x00\x80\x00\x00\x00\x00":     mem(NoReg, NoReg, 0, 0x80000000, 4),
		"\x48\xa1\x00\x00\x00\x80\xff\xff\xff\xff": mem(NoReg, NoReg, 0, -0x80000000, 8),
	} {
		in, ok := Decode(arch.X86_64, []byte(code), 0x1000)
		if !ok || in.Mem != want {
			t.Errorf("% x: %+v (%v), want %+v", code, in.Mem, ok, want)
		}
	}
}
