	.text
	.globl	asm_add
	.type	asm_add, %function
asm_add:
#if defined(__aarch64__)
	add	w0, w0, w1
	cbz	w0, 1f
	ret
1:	mov	w0, #1
	ret
#else
	leal	(%rdi,%rsi), %eax
	testl	%eax, %eax
	jz	1f
	ret
1:	movl	$1, %eax
	ret
#endif
	.size	asm_add, . - asm_add

/* Without a type and without a size, as people write it. */
	.globl	asm_label
asm_label:
	nop
	nop
	.section .note.GNU-stack,"",%progbits
