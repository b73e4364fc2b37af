/* SPDX-License-Identifier: BSD-3-Clause */
/* Context switch and the first instructions of a new thread. */

	.text
/* void ukarch_ctx_switch(struct ukarch_ctx *store, struct ukarch_ctx *load): rdi, rsi */
	.globl ukarch_ctx_switch
	.type ukarch_ctx_switch, @function
	.balign 16
ukarch_ctx_switch:
	.cfi_startproc
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	leaq 1f(%rip), %rax
	movq %rax, 0(%rdi)
	movq %rsp, 8(%rdi)
	movq 8(%rsi), %rsp
	jmp *0(%rsi)
1:
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	ret
	.cfi_endproc
	.size ukarch_ctx_switch, . - ukarch_ctx_switch

/* A new thread starts here. At rsp: argument, entry, 0. */
	.globl _ctx_x86_clearregs
	.type _ctx_x86_clearregs, @function
	.balign 16
_ctx_x86_clearregs:
	.cfi_startproc
	.cfi_undefined rip
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %ebp, %ebp
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	xorl %r12d, %r12d
	xorl %r13d, %r13d
	xorl %r14d, %r14d
	xorl %r15d, %r15d
	sti
	popq %rdi
	ret
	.cfi_endproc
	.size _ctx_x86_clearregs, . - _ctx_x86_clearregs

	.section .note.GNU-stack, "", @progbits
