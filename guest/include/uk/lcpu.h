/* SPDX-License-Identifier: BSD-3-Clause */
/* One struct lcpu per CPU. x86: GS base points at it. arm64: TPIDR_EL1 points at it. */
#ifndef UK_LCPU_H
#define UK_LCPU_H

#include <guest/config.h>
#include <guest/types.h>

enum lcpu_state { LCPU_STATE_OFFLINE, LCPU_STATE_INIT, LCPU_STATE_IDLE, LCPU_STATE_BUSY, LCPU_STATE_HALTED };

struct lcpu {
	struct lcpu *self; /* x86 reads it through GS: keep first */
	enum lcpu_state state;
	__lcpuidx idx;    /* index into lcpus[] and __uk_sched_thread_current[] */
	__lcpuid id;      /* hardware id: APIC id, or MPIDR affinity */
	void *boot_stack; /* top of the stack it started on */
	struct uk_sched *sched;
	__u64 irqs;
	__u64 ticks;
};

extern struct lcpu lcpus[CONFIG_LCPU_MAXCOUNT];
extern unsigned int lcpu_count; /* CPUs that run */

struct lcpu *lcpu_current(void);
static inline __lcpuidx ukplat_lcpu_idx(void) { return lcpu_current()->idx; }

void lcpu_secondary_main(struct lcpu *self) __attribute__((noreturn));

#endif
