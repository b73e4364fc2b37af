package unwind_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// arm64Bare is code without call frame information, as assembly sources have it.
// Each label is a place the caller must be found from.
const arm64Bare = `
	.text
	.macro func name
	.globl \name
	.type \name, %function
\name:
	.endm
	.macro endf name
	.size \name, .-\name
	.endm
func bottom
	.cfi_startproc
	.cfi_undefined x30
	bl pushes
	bl frames
	bl keeps
bottom_ret:
	b .
	.cfi_endproc
endf bottom
func pushes		// as smccc_hvc
p_0:	str x19, [sp, #-16]!
p_16:	mov x19, x0
	hvc #0
p_16b:	ldr x19, [sp], #16
p_0b:	ret
endf pushes
func frames		// two ways out
f_0:	sub sp, sp, #1, lsl #12
f_4096:	sub sp, sp, #0x20
f_4128:	stp x29, x30, [sp, #16]
f_4128s: str x20, [sp, #8]
	cbz x0, 1f
	mov x30, #1
f_4128t: ldp x29, x30, [sp, #16]
	add sp, sp, #1, lsl #12
	add sp, sp, #0x20
f_0b:	ret
1:	mov x30, #2
f_4128u: b f_4128t
endf frames
func keeps		// the frame pointer alone leads on
	stp x29, x30, [sp, #-16]!
	mov x29, sp
	and sp, x29, #0xffffffffffffff00
k_fp:	mov x30, #0
	mov sp, x29
	ldp x29, x30, [sp], #16
	ret
endf keeps
`

// A function without call frame information is left by what its code did to the
// stack.
func TestARM64BareFrames(t *testing.T) {
	im, mods := image(t, "aarch64-linux-gnu-gcc", arm64Bare)
	at := func(name string) uint64 { return addr(t, im, name) }
	const x19, x20, fp = 0x1919, 0x2020, 0x2929
	for _, tt := range []struct {
		at   string
		size uint64 // of the frame
		lr   bool   // the link register has the return address
		how  unwind.How
	}{
		{"p_0", 0, true, unwind.Prologue}, {"p_16", 16, true, unwind.Prologue}, {"p_16b", 16, true, unwind.Prologue},
		{"p_0b", 0, true, unwind.Prologue},
		{"f_0", 0, true, unwind.Prologue}, {"f_4096", 4096, true, unwind.Prologue}, {"f_4128", 4128, true, unwind.Prologue},
		{"f_4128s", 4128, false, unwind.Prologue}, {"f_4128t", 4128, false, unwind.Prologue},
		{"f_4128u", 4128, false, unwind.Prologue}, {"f_0b", 0, true, unwind.Prologue},
		{"k_fp", 512, false, unwind.FramePointer},
	} {
		const sp = 0x10000
		words := make([]uint64, 1024)
		regs := target.NewRegs(arch.ARM64)
		regs.Set(arch.ARM64PC, at(tt.at))
		regs.Set(arch.ARM64SP, sp)
		regs.Set(arch.ARM64FP, fp)
		regs.Set(arch.ARM64X0+19, x19)
		regs.Set(arch.ARM64X0+20, x20)
		regs.Set(arch.ARM64LR, at("keeps")) // code, but no way back
		if tt.lr {
			regs.Set(arch.ARM64LR, at("bottom_ret"))
		}
		switch {
		case tt.how == unwind.FramePointer:
			regs.Set(arch.ARM64FP, sp+496)
			words[62], words[63] = fp, at("bottom_ret")
		case tt.size == 16:
			words[0] = x19
			regs.Set(arch.ARM64X0+19, 1)
		case tt.size == 4128:
			words[1], words[2], words[3] = x20, fp, at("bottom_ret")
		}
		if tt.at > "f_4128s" && tt.size == 4128 {
			regs.Set(arch.ARM64X0+20, 1)
			regs.Set(arch.ARM64FP, 1)
		}
		frames, err := unwind.Unwind(context.Background(), stackAt(sp, words...), mods, regs, unwind.Options{NoScan: true})
		if err != nil || len(frames) != 2 {
			t.Errorf("%s: %v, %v", tt.at, frames, err)
			continue
		}
		f := &frames[1]
		got := fmt.Sprintf("%v %#x cfa %#x", f.How, f.PC, frames[0].CFA)
		if want := fmt.Sprintf("%v %#x cfa %#x", tt.how, at("bottom_ret"), sp+tt.size); got != want {
			t.Errorf("%s: %s, want %s", tt.at, got, want)
		}
		for num, want := range map[int]uint64{19: x19, 20: x20, arch.ARM64FP: fp} {
			if v, ok := f.Regs.Get(num); !ok || v != want {
				t.Errorf("%s: x%d is %#x (%v), want %#x", tt.at, num, v, ok, want)
			}
		}
		if v, ok := f.Regs.Get(arch.ARM64SP); tt.how == unwind.Prologue && (!ok || v != sp+tt.size) {
			t.Errorf("%s: sp is %#x (%v)", tt.at, v, ok)
		}
	}
}

// arm64Thread has functions that a thread may begin in, with their own address
// in the link register, behind code of each kind.
const arm64Thread = `
	.text
	.macro func name
	.globl \name
	.type \name, %function
\name:	.cfi_startproc
	.endm
	.macro endf name
	.cfi_endproc
	.size \name, .-\name
	.endm
	.macro body
	stp x29, x30, [sp, -32]!
	.cfi_adjust_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	nop
	.endm
func bottom
	.cfi_undefined x30
	ret
endf bottom
func behind_ret
	body
	bl bottom
endf behind_ret
func behind_call	// of another function, which never returns
	body
endf behind_call
func calls_next
	.cfi_undefined x30
	bl called
endf calls_next
func called
	body
endf called
`

// A thread of Unikraft on arm64 returns to the start of its own function: there
// is no caller. A function called by the last instruction before it has one.
func TestARM64ThreadBottom(t *testing.T) {
	im, mods := image(t, "aarch64-linux-gnu-gcc", arm64Thread)
	for name, want := range map[string]string{
		"behind_ret": "behind_ret context", "behind_call": "behind_call context", "called": "called context, calls_next cfi",
	} {
		entry := addr(t, im, name)
		regs := target.NewRegs(arch.ARM64)
		regs.Set(arch.ARM64PC, entry+4)
		regs.Set(arch.ARM64SP, top)
		got, err := walk(t, mods, stackAt(top, 0, entry, 0, 0, 0), regs, unwind.Options{})
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
