/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trap stubs. Each builds a struct __regs on the stack and calls x86_trap(regs, number) or x86_irq(regs, number). The
 * CFI is a signal frame whose CFA is the end of struct __regs, so a debugger unwinds through it.
 */

.macro SAVE reg
	pushq %\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm
.macro RESTORE reg
	popq %\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm

/* words: what lies between rsp and the end of struct __regs at the stub's entry */
.macro FRAME words
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 8 * \words
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
.endm

.macro TRAP name, number, error=0
	.globl asm_trap_\name
	.type asm_trap_\name, @function
	.balign 16
asm_trap_\name:
	.if \error
	FRAME 6
	.else
	FRAME 5
	pushq $0
	.cfi_adjust_cfa_offset 8
	.endif
	SAVE rdi
	movl $\number, %edi
	jmp trap_common
	.cfi_endproc
	.size asm_trap_\name, . - asm_trap_\name
.endm

.macro IRQ number
	.globl asm_irq_\number
	.type asm_irq_\number, @function
	.balign 16
asm_irq_\number:
	FRAME 5
	pushq $0
	.cfi_adjust_cfa_offset 8
	SAVE rdi
	movl $\number, %edi
	jmp irq_common
	.cfi_endproc
	.size asm_irq_\number, . - asm_irq_\number
.endm

.macro COMMON name, handler
	.type \name, @function
	.balign 16
\name:
	FRAME 7
	.cfi_offset rdi, -56
	SAVE rsi
	SAVE rdx
	SAVE rcx
	SAVE rax
	SAVE r8
	SAVE r9
	SAVE r10
	SAVE r11
	SAVE rbx
	SAVE rbp
	SAVE r12
	SAVE r13
	SAVE r14
	SAVE r15
	pushq $0
	.cfi_adjust_cfa_offset 8
	cld
	movl %edi, %esi
	movq %rsp, %rdi
	call \handler
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	RESTORE r15
	RESTORE r14
	RESTORE r13
	RESTORE r12
	RESTORE rbp
	RESTORE rbx
	RESTORE r11
	RESTORE r10
	RESTORE r9
	RESTORE r8
	RESTORE rax
	RESTORE rcx
	RESTORE rdx
	RESTORE rsi
	RESTORE rdi
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	iretq
	.cfi_endproc
	.size \name, . - \name
.endm

	.text
	TRAP divide_error, 0
	TRAP debug, 1
	TRAP nmi, 2
	TRAP int3, 3
	TRAP overflow, 4
	TRAP bounds, 5
	TRAP invalid_op, 6
	TRAP no_device, 7
	TRAP double_fault, 8, 1
	TRAP invalid_tss, 10, 1
	TRAP no_segment, 11, 1
	TRAP stack_error, 12, 1
	TRAP gp_fault, 13, 1
	TRAP page_fault, 14, 1
	TRAP coproc_error, 16
	TRAP alignment_check, 17, 1
	TRAP machine_check, 18
	TRAP simd_error, 19
	TRAP virt_error, 20
	TRAP control_protection, 21, 1
	IRQ 32
	IRQ 39
	IRQ 64
	IRQ 255
	COMMON trap_common, x86_trap
	COMMON irq_common, x86_irq

	.section .data.rel.ro.traps, "aw", @progbits
	.balign 8
	.globl x86_trap_table
x86_trap_table: /* vector, stub; ends with stub 0 */
.macro ENTRY vector, stub
	.quad \vector, \stub
.endm
	ENTRY 0, asm_trap_divide_error
	ENTRY 1, asm_trap_debug
	ENTRY 2, asm_trap_nmi
	ENTRY 3, asm_trap_int3
	ENTRY 4, asm_trap_overflow
	ENTRY 5, asm_trap_bounds
	ENTRY 6, asm_trap_invalid_op
	ENTRY 7, asm_trap_no_device
	ENTRY 8, asm_trap_double_fault
	ENTRY 10, asm_trap_invalid_tss
	ENTRY 11, asm_trap_no_segment
	ENTRY 12, asm_trap_stack_error
	ENTRY 13, asm_trap_gp_fault
	ENTRY 14, asm_trap_page_fault
	ENTRY 16, asm_trap_coproc_error
	ENTRY 17, asm_trap_alignment_check
	ENTRY 18, asm_trap_machine_check
	ENTRY 19, asm_trap_simd_error
	ENTRY 20, asm_trap_virt_error
	ENTRY 21, asm_trap_control_protection
	ENTRY 32, asm_irq_32
	ENTRY 39, asm_irq_39
	ENTRY 64, asm_irq_64
	ENTRY 255, asm_irq_255
	.quad 0, 0

	.section .note.GNU-stack, "", @progbits
