/* SPDX-License-Identifier: BSD-3-Clause */
/* struct __regs: what a trap stub saves, lowest address first. The layout is Unikraft's; debuggers read it. */
#ifndef GUEST_REGS_H
#define GUEST_REGS_H

#include <guest/types.h>

#if defined(__x86_64__)

/* orig_rax holds the error code of an exception that pushes one, else 0; see arch/x86_64/trap_entry.S. */
struct __regs {
	unsigned long pad;
	unsigned long r15;
	unsigned long r14;
	unsigned long r13;
	unsigned long r12;
	unsigned long rbp;
	unsigned long rbx;
	unsigned long r11;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long rax;
	unsigned long rcx;
	unsigned long rdx;
	unsigned long rsi;
	unsigned long rdi;
	unsigned long orig_rax;
	unsigned long rip;
	unsigned long cs;
	unsigned long eflags;
	unsigned long rsp;
	unsigned long ss;
};
_Static_assert(sizeof(struct __regs) == 176, "trap_entry.S relies on it");

static inline unsigned long regs_pc(const struct __regs *r) { return r->rip; }
static inline unsigned long regs_sp(const struct __regs *r) { return r->rsp; }
static inline unsigned long regs_fp(const struct __regs *r) { return r->rbp; }

#elif defined(__aarch64__)

struct __regs {
	unsigned long x[30];
	unsigned long lr;       /* x30, offset 240 */
	unsigned long elr_el1;  /* offset 248 */
	unsigned long spsr_el1; /* offset 256 */
	unsigned long esr_el1;  /* offset 264 */
	unsigned long sp;       /* offset 272: the interrupted code's stack pointer */
	unsigned long pad;      /* keeps the stack pointer 16-byte aligned */
};
_Static_assert(sizeof(struct __regs) == 288, "trap_entry.S relies on it");

static inline unsigned long regs_pc(const struct __regs *r) { return r->elr_el1; }
static inline unsigned long regs_sp(const struct __regs *r) { return r->sp; }
static inline unsigned long regs_fp(const struct __regs *r) { return r->x[29]; }

#else
#error "unknown architecture"
#endif

#endif
