/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a kCFI trap tells, in Linux's words (arch/x86/kernel/cfi.c, from 6.1);
 * Unikraft has no such check and so no words for it. Addresses stand where
 * Linux prints symbols, as Linux does without a symbol table.
 *
 * The trap itself carries the numbers (LLVM, "KCFI" in
 * clang/docs/ControlFlowIntegrity.rst):
 *   x86_64  mov $-type,%r10d ; add -4(%target),%r10d ; je 1f ; ud2
 *   arm64   brk #(0x8000 | type register << 5 | target register)
 */
#include <guest/arch.h>
#include <guest/string.h>
#include <uk/print.h>

#include "san.h"

#if defined(__x86_64__)

#define TRAP_INVALID_OPCODE 6
#define SEQUENCE 12

/* The value of the register a ModRM r/m field names, as the CPU numbers them. */
static __uptr register_value(const struct __regs *r, unsigned int number)
{
	const unsigned long by_number[16] = {
		r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
		r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
	};

	return by_number[number & 15];
}

static bool decode(const struct __regs *regs, int trapnr, __uptr *target, __u32 *type)
{
	const __u8 *at = (const __u8 *)regs->rip - SEQUENCE;
	__u32 minus;

	if (trapnr != TRAP_INVALID_OPCODE || !arch_mapped((__vaddr_t)at, SEQUENCE + 2, false))
		return false;
	if (at[0] != 0x41 || at[1] != 0xba || (at[6] & 0xfe) != 0x44 || at[7] != 0x03 || (at[8] & 0xc0) != 0x40 ||
	    at[10] != 0x74 || at[12] != 0x0f || at[13] != 0x0b)
		return false;
	memcpy(&minus, at + 2, sizeof minus);
	*type = -minus;
	*target = register_value(regs, (at[8] & 7u) | (at[6] & 1u) << 3);
	return true;
}

#elif defined(__aarch64__)

#define EC_BRK64 0x3c
#define BRK_KCFI 0x8000u

static __uptr register_value(const struct __regs *r, unsigned int number)
{
	return number < 30 ? r->x[number] : number == 30 ? r->lr : 0;
}

static bool decode(const struct __regs *regs, int trapnr, __uptr *target, __u32 *type)
{
	unsigned int comment = regs->esr_el1 & 0xffff;

	if (trapnr != EC_BRK64 || (comment & ~0x3ffu) != BRK_KCFI)
		return false;
	*target = register_value(regs, comment & 31);
	*type = (__u32)register_value(regs, comment >> 5 & 31);
	return true;
}

#endif

void kcfi_trap(const struct __regs *regs, int trapnr)
{
	__uptr target;
	__u32 type;

	if (decode(regs, trapnr, &target, &type))
		uk_pr_crit("CFI failure at %#lx (target: %#lx; expected type: 0x%08x)\n", regs_pc(regs), target, type);
}
