/* SPDX-License-Identifier: BSD-3-Clause */
/* Dying: explicit crashes, the crash screens, and the end of the machine. */
#ifndef UK_CRASH_H
#define UK_CRASH_H

#include <guest/regs.h>
#include <uk/print.h>

/* crash=a (Unikraft up to 0.19) or crash=c (after 0.20); crash=exit powers off afterwards. Options combine: crash=c,exit. */
enum crash_generation { CRASH_GEN_A, CRASH_GEN_C };
extern enum crash_generation crash_generation;

enum uk_crash_reason {
	UK_CRASH_REASON_INVALID,
	UK_CRASH_REASON_EXPLICIT,
	UK_CRASH_REASON_TRAP,
	UK_CRASH_REASON_PAGE_FAULT,
	UK_CRASH_REASON_OTHER,
};

/* Page fault: arg1 is the address, arg2 the error code (x86) or ESR_EL1 (arm64). Trap: arg1 number, arg2 error code. */
struct uk_crash_descr {
	enum uk_crash_reason reason;
	int uk_err;
	unsigned long arg1;
	unsigned long arg2;
	unsigned long arg3;
};

extern __u8 _uk_crash_explicit; /* 1 between an explicit crash and its trap */

/* Set when one CPU has died: the others stop at their next interrupt. */
extern volatile bool crash_halted;

void crash_init(const char *cmdline);
void _uk_crash(struct __regs *regs, struct uk_crash_descr *descr) __noreturn;
void _uk_crash_from_code(void) __noreturn; /* what UK_CRASH does after its message */
void ukplat_terminate(void) __noreturn;
void ukplat_crash(void) __noreturn; /* after a trap; also prints the counters */
/* Called once at the end of life to print counters; the application's. */
void app_counters(void);

#define UK_CRASH(...)                                                                                 \
	do {                                                                                          \
		uk_pr_crit(__VA_ARGS__);                                                              \
		_uk_crash_from_code();                                                                \
	} while (0)

#endif
