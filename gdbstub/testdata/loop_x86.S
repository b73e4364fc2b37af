/*
 * The smallest guest tests need: a loop that calls work, which counts. The
 * processor stays in 32-bit protected mode, where multiboot leaves it.
 */
	.text
	.globl _start
_start:
	jmp 1f
	.balign 4
	.long 0x1badb002, 0, -0x1badb002	/* multiboot header */
1:	mov $0x180000, %esp
	mov $counter, %ebx
2:	call work
	jmp 2b
	.globl work
work:
	incl (%ebx)
	mov (%ebx), %eax
	ret
	.data
	.balign 4096
	.globl counter
counter: .long 0
	.balign 4096
	.globl pattern
pattern:
	.set i, 0
	.rept 8192
	.byte (i * 7 + i / 256) & 255
	.set i, i + 1
	.endr
