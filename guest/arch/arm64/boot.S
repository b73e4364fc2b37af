/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry at EL1 with the MMU off; x0 is the device tree when booted as a Linux Image, else 0. Maps devices, RAM and PCIe
 * configuration space by 1 GiB blocks, turns the MMU on and calls kmain(x0) on the boot stack. Code runs with SPSel = 0:
 * threads use SP_EL0, exceptions SP_EL1, so that a stack overflow can be reported.
 */
#define MAIR 0x000000000000ff00         /* attribute 0: device nGnRnE, 1: normal write-back */
#define TCR_T0SZ 25                     /* 39-bit addresses: the walk starts at level 1 */
#define TCR (TCR_T0SZ | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 23) | (2 << 32)) /* cached walks, no TTBR1, 40-bit PA */
#define BLOCK_NORMAL 0x705              /* access, inner shareable, attribute 1, block */
#define BLOCK_DEVICE 0x0060000000000401 /* never executable, access, attribute 0, block */

	.section .boot, "ax", @progbits
	.globl _start
	.type _start, @function
_start:
	.cfi_startproc
	.cfi_undefined x30
#ifdef GUEST_PIE
	/* The Linux Image header. The loader puts the file at the start of RAM plus text_offset. */
	b 1f
	.long 0
	.quad 0x400000            /* text_offset: 2 MiB above the link address */
	.quad _end - _start       /* image_size */
	.quad 0x2                 /* little-endian, 4 KiB pages */
	.quad 0, 0, 0
	.long 0x644d5241          /* "ARM\x64" */
	.long 0
1:
#endif
	msr daifset, #15
	mov x19, x0
	/* Clear .bss: a flat image does not bring it. */
	adrp x1, _bss
	add x1, x1, :lo12:_bss
	adrp x2, _end
	add x2, x2, :lo12:_end
2:	stp xzr, xzr, [x1], #16
	cmp x1, x2
	b.lo 2b

	adrp x0, boot_l1
	ldr x1, =BLOCK_DEVICE
	str x1, [x0]              /* 0 .. 1 GiB: devices */
	mov x2, #0x40000000
	add x1, x2, #BLOCK_NORMAL
	str x1, [x0, #8]          /* 1 .. 2 GiB: RAM */
	ldr x1, =(BLOCK_DEVICE + (256 << 30))
	str x1, [x0, #256 * 8]    /* 256 .. 257 GiB: PCIe configuration space */
	dsb ish
	bl mmu_on

	msr spsel, #1
	adrp x1, boot_trap_stack_top
	add x1, x1, :lo12:boot_trap_stack_top
	mov sp, x1
	msr spsel, #0
	adrp x1, boot_stack_top
	add x1, x1, :lo12:boot_stack_top
	mov sp, x1
#ifdef GUEST_PIE
	adrp x0, _start
	add x0, x0, :lo12:_start
	ldr x1, =GUEST_LINK_BASE
	sub x0, x0, x1
	bl reloc_apply
#endif
	mov x0, x19
	mov x29, xzr
	mov x30, xzr
	b kmain
	.cfi_endproc
	.size _start, . - _start

/* Turns the MMU and the caches on with the table boot_l1. Uses x0 to x2. */
	.type mmu_on, @function
mmu_on:
	.cfi_startproc
	adrp x0, boot_l1
	msr ttbr0_el1, x0
	ldr x1, =MAIR
	msr mair_el1, x1
	ldr x1, =TCR
	msr tcr_el1, x1
	tlbi vmalle1
	dsb ish
	isb
	mrs x1, sctlr_el1
	mov x2, #0x1005           /* I, C, M */
	orr x1, x1, x2
	bic x1, x1, #0x2          /* A: no alignment checks */
	msr sctlr_el1, x1
	isb
	ret
	.cfi_endproc
	.size mmu_on, . - mmu_on

/* Where PSCI starts a further CPU: MMU off, x0 = its struct smp_boot {lcpu, stack top, trap stack top}. */
	.globl secondary_start
	.type secondary_start, @function
secondary_start:
	.cfi_startproc
	.cfi_undefined x30
	msr daifset, #15
	mov x19, x0
	bl mmu_on
	ldp x20, x21, [x19]
	ldr x22, [x19, #16]
	msr spsel, #1
	mov sp, x22
	msr spsel, #0
	mov sp, x21
	mov x0, x20
	mov x29, xzr
	mov x30, xzr
	b secondary_entry
	.cfi_endproc
	.size secondary_start, . - secondary_start
	.ltorg

	.section .bss.boot, "aw", @nobits
	.balign 4096
	.globl boot_l1, boot_stack_guard, boot_trap_stack_top
boot_l1:
	.fill 4096
boot_stack_guard:
	.fill 4096
	.fill 28672
boot_stack_top:
	.fill 8192
boot_trap_stack_top:

	.section .note.GNU-stack, "", %progbits
