/* As loop_x86.S, for QEMU's virt machine; one processor runs, others halt. */
	.text
	.globl _start
_start:
	ldr x0, =counter
1:	bl work
	b 1b
	.globl work
work:
	ldr x2, [x0]
	add x2, x2, #1
	str x2, [x0]
	ret
	.data
	.balign 4096
	.globl counter
counter: .quad 0
	.balign 4096
	.globl pattern
pattern:
	.set i, 0
	.rept 8192
	.byte (i * 7 + i / 256) & 255
	.set i, i + 1
	.endr
