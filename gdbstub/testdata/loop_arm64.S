/* As loop_x86.S, for QEMU's virt machine; one processor runs, with BOTH a second one. */
	.text
	.globl _start
_start:
#ifdef BOTH
	ldr x0, =0xc4000003		/* PSCI CPU_ON (Arm DEN 0022, 5.1.4) */
	mov x1, #1
	adr x2, 1f
	mov x3, #0
	hvc #0
#endif
1:	ldr x0, =counter
2:	bl work
	b 2b
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
