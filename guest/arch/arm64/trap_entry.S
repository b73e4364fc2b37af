/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exception vectors. Code runs at EL1 on SP_EL0; a vector saves struct __regs on the CPU's exception stack (SP_EL1) and
 * calls a C handler with it. No CFI describes the saved state: a debugger reads struct __regs.
 */

.macro SAVE spreg
	sub sp, sp, #288
	stp x0, x1, [sp, #0]
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x19, [sp, #144]
	stp x20, x21, [sp, #160]
	stp x22, x23, [sp, #176]
	stp x24, x25, [sp, #192]
	stp x26, x27, [sp, #208]
	stp x28, x29, [sp, #224]
	mrs x21, elr_el1
	mrs x22, spsr_el1
	mrs x23, esr_el1
	stp x30, x21, [sp, #240]
	stp x22, x23, [sp, #256]
	.ifc \spreg, sp_el0
	mrs x24, sp_el0
	.else
	add x24, sp, #288
	.endif
	stp x24, xzr, [sp, #272]
.endm

.macro RESTORE_AND_ERET
	ldp x24, x25, [sp, #272]
	ldp x22, x23, [sp, #256]
	ldp x30, x21, [sp, #240]
	msr elr_el1, x21
	msr spsr_el1, x22
	tbnz x22, #0, 1f          /* came from SP_EL1: its value follows from ours */
	msr sp_el0, x24
1:	ldp x0, x1, [sp, #0]
	ldp x2, x3, [sp, #16]
	ldp x4, x5, [sp, #32]
	ldp x6, x7, [sp, #48]
	ldp x8, x9, [sp, #64]
	ldp x10, x11, [sp, #80]
	ldp x12, x13, [sp, #96]
	ldp x14, x15, [sp, #112]
	ldp x16, x17, [sp, #128]
	ldp x18, x19, [sp, #144]
	ldp x20, x21, [sp, #160]
	ldp x22, x23, [sp, #176]
	ldp x24, x25, [sp, #192]
	ldp x26, x27, [sp, #208]
	ldp x28, x29, [sp, #224]
	add sp, sp, #288
	eret
.endm

.macro HANDLER name, spreg, target
	.globl \name
	.type \name, %function
	.balign 16
\name:
	.cfi_startproc
	.cfi_undefined x30
	SAVE \spreg
	mov x0, sp
	bl \target
	RESTORE_AND_ERET
	.cfi_endproc
	.size \name, . - \name
.endm

.macro INVALID name, el, kind, spreg=sp_el1
	.globl \name
	.type \name, %function
	.balign 16
\name:
	.cfi_startproc
	.cfi_undefined x30
	SAVE \spreg
	mov x0, sp
	mov w1, #\el
	mov w2, #\kind
	bl trap_el_invalid
	.cfi_endproc
	.size \name, . - \name
.endm

	.text
	HANDLER el1_sync, sp_el0, trap_el1_sync
	HANDLER el1_irq, sp_el0, trap_el1_irq
	HANDLER el1_sync_nested, sp_el1, trap_el1_sync
	INVALID el1_irq_nested, 1, 1
	INVALID el1_fiq, 1, 2
	INVALID el1_error, 1, 3
	INVALID el0_any, 0, 0

.macro VECTOR target
	.balign 128
	b \target
.endm
	.balign 2048
	.globl vectors_el1
	.type vectors_el1, %object
vectors_el1:
	VECTOR el1_sync           /* current EL, SP_EL0 */
	VECTOR el1_irq
	VECTOR el1_fiq
	VECTOR el1_error
	VECTOR el1_sync_nested    /* current EL, SP_EL1 */
	VECTOR el1_irq_nested
	VECTOR el1_fiq
	VECTOR el1_error
	.rept 8                   /* lower EL: there is none */
	VECTOR el0_any
	.endr
	.size vectors_el1, . - vectors_el1

	.section .note.GNU-stack, "", %progbits
