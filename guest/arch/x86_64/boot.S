/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry from a multiboot 1 loader: 32-bit protected mode, paging off, ebx = multiboot information. Maps the first GiB with 2 MiB
 * pages, enters long mode, and calls kmain(ebx) on the boot stack. Addresses are taken relative to eip, so that the same
 * code links into a position-independent executable. Then the trampoline of the further CPUs.
 */
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x3 /* page-aligned modules, memory information */

	.section .boot, "ax", @progbits
	.balign 4
multiboot_header:
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.code32
	.globl _boot32
	.type _boot32, @function
_boot32:
	cli
	cld
	movl $0x7000, %esp /* low memory is free; needed for the next call */
	call 1f
1:	popl %ebp
	/* PML4[0] -> PDPT, PDPT[0] -> PD, PD[i] -> 2 MiB page i */
	leal (boot_pml4 - 1b)(%ebp), %edi
	leal (boot_pdpt - 1b)(%ebp), %eax
	orl $0x3, %eax
	movl %eax, (%edi)
	leal (boot_pdpt - 1b)(%ebp), %edi
	leal (boot_pd - 1b)(%ebp), %eax
	orl $0x3, %eax
	movl %eax, (%edi)
	leal (boot_pd - 1b)(%ebp), %edi
	movl $0x83, %eax
	movl $512, %ecx
2:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 2b

	leal (boot_gdtr - 1b)(%ebp), %eax
	leal (boot_gdt - 1b)(%ebp), %ecx
	movl %ecx, 2(%eax)
	leal (boot_pml4 - 1b)(%ebp), %edi
	leal (_start64 - 1b)(%ebp), %esi
	jmp long_mode
	.size _boot32, . - _boot32

/* eax = GDT register image, edi = PML4, esi = 64-bit continuation, ebx is kept. */
long_mode:
	lgdtl (%eax)
	movl %edi, %cr3
	movl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax /* long mode, no-execute */
	wrmsr
	movl $0x80010011, %eax /* paging, write protection, extension type, protection */
	movl %eax, %cr0
	pushl $0x08
	pushl %esi
	lretl

	.code64
	.type _start64, @function
_start64:
	.cfi_startproc
	.cfi_undefined rip
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq boot_stack_top(%rip), %rsp
	xorl %ebp, %ebp
	movl %ebx, %edi
	movq %rdi, %rbx
#ifdef GUEST_PIE
	xorl %edi, %edi /* loaded where it was linked */
	call reloc_apply
	movq %rbx, %rdi
#endif
	pushq $0 /* the return address of the bottom frame */
	jmp kmain
	.cfi_endproc
	.size _start64, . - _start64

/*
 * The trampoline is copied to 0x8000; a further CPU starts there in real mode. It finds its parameters behind the
 * code: pml4, lcpu pointer, stack top, 64-bit entry.
 */
	.section .rodata.trampoline, "a", @progbits
	.balign 16
	.globl smp_trampoline, smp_trampoline_end, smp_trampoline_params
	.code16
#define AT(sym) (0x8000 + (sym) - smp_trampoline)
smp_trampoline:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl AT(tr_gdtr)
	movl $0x1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $AT(tr_32)
	.code32
tr_32:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %ss
	movl $0x20, %eax
	movl %eax, %cr4
	movl AT(smp_trampoline_params), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl $0x80010011, %eax
	movl %eax, %cr0
	ljmpl $0x08, $AT(tr_64)
	.code64
tr_64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq AT(smp_trampoline_params) + 8, %rdi
	movq AT(smp_trampoline_params) + 16, %rsp
	xorl %ebp, %ebp
	pushq $0
	jmp *AT(smp_trampoline_params) + 24
	.balign 8
tr_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 08: 64-bit code */
	.quad 0x00cf93000000ffff /* 10: data */
	.quad 0x00cf9b000000ffff /* 18: 32-bit code */
tr_gdtr:
	.word 31
	.long AT(tr_gdt)
	.balign 8
smp_trampoline_params:
	.quad 0, 0, 0, 0
smp_trampoline_end:

	.section .data.boot, "aw", @progbits
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
boot_gdtr:
	.word 23
	.long 0

	.section .bss.boot, "aw", @nobits
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
	.fill 4096
boot_pdpt:
	.fill 4096
boot_pd:
	.fill 4096
	.globl boot_stack_guard, boot_stack_top
boot_stack_guard:
	.fill 4096
	.fill 28672
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
