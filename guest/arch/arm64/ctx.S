/* SPDX-License-Identifier: BSD-3-Clause */
/* Context switch and the first instructions of a new thread. */

	.text
/* void ukarch_ctx_switch(struct ukarch_ctx *store, struct ukarch_ctx *load) */
	.globl ukarch_ctx_switch
	.type ukarch_ctx_switch, %function
	.balign 16
ukarch_ctx_switch:
	.cfi_startproc
	sub sp, sp, #112
	.cfi_adjust_cfa_offset 112
	stp x19, x20, [sp, #0]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	stp x21, x22, [sp, #16]
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	stp x23, x24, [sp, #32]
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	stp x25, x26, [sp, #48]
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	stp x27, x28, [sp, #64]
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	stp x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	str x18, [sp, #96]
	.cfi_rel_offset x18, 96
	adr x2, restore_point
	mov x3, sp
	stp x2, x3, [x0]
	ldp x2, x3, [x1]
	mov sp, x3
	br x2
	.globl restore_point
restore_point:
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldr x18, [sp, #96]
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x18
	add sp, sp, #112
	.cfi_adjust_cfa_offset -112
	ret
	.cfi_endproc
	.size ukarch_ctx_switch, . - ukarch_ctx_switch

/* A new thread starts here. At sp: entry, argument. */
	.globl _ctx_arm_clearregs
	.type _ctx_arm_clearregs, %function
	.balign 16
_ctx_arm_clearregs:
	.cfi_startproc
	.cfi_undefined x30
	ldp x16, x0, [sp], #16
	.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mov x\n, xzr
	.endr
	msr daifclr, #2
	br x16
	.cfi_endproc
	.size _ctx_arm_clearregs, . - _ctx_arm_clearregs

	.section .note.GNU-stack, "", %progbits
