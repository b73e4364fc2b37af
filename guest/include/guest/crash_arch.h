/* SPDX-License-Identifier: BSD-3-Clause */
/* The architecture's part of a crash report. */
#ifndef GUEST_CRASH_ARCH_H
#define GUEST_CRASH_ARCH_H

#include <uk/crash.h>

void crash_dump_regs_a(const struct __regs *regs);  /* generation A: the register lines */
void crash_dump_stack_a(const struct __regs *regs); /* generation A, x86 page faults: callers and memory */
void crash_dump_regs_c(const struct __regs *regs);  /* generation C: what follows "Registers:" */

/* A line of the generation C screen: time and level, no library and no file. */
void crash_line(const char *fmt, ...) __printf(1, 2);

#endif
