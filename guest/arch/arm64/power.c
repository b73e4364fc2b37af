/* SPDX-License-Identifier: BSD-3-Clause */
/* PSCI through HVC: off, and starting further CPUs. */
#include <guest/arch.h>
#include <guest/config.h>
#include <uk/alloc.h>
#include <uk/print.h>

#include "arm64.h"

#define PSCI_SYSTEM_OFF 0x84000008UL
#define PSCI_CPU_ON 0xc4000003UL
#define STARTUP_TIMEOUT 200000000ULL /* ns */
#define TRAP_STACK_PAGES 2UL

struct smp_boot {
	struct lcpu *lcpu;
	void *stack_top;
	void *trap_stack_top;
};

static struct smp_boot smp_boot[CONFIG_LCPU_MAXCOUNT];
extern char secondary_start[];

static long psci(__u64 function, __u64 a1, __u64 a2, __u64 a3)
{
	register __u64 x0 __asm__("x0") = function;
	register __u64 x1 __asm__("x1") = a1;
	register __u64 x2 __asm__("x2") = a2;
	register __u64 x3 __asm__("x3") = a3;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory", "x4", "x5", "x6", "x7", "x8", "x9",
			 "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17");
	return (long)x0;
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("msr daifset, #15\n\twfi" ::: "memory");
}

void arch_poweroff(int status)
{
	(void)status; /* PSCI has none */
	psci(PSCI_SYSTEM_OFF, 0, 0, 0);
	arch_halt();
}

void secondary_entry(struct lcpu *self)
{
	sysreg_write(tpidr_el1, self);
	arm64_vectors_init();
	lcpu_secondary_main(self);
}

void arch_smp_start(void)
{
	for (unsigned int i = 1; i < CONFIG_LCPU_MAXCOUNT; i++) {
		struct lcpu *l = &lcpus[i];
		volatile enum lcpu_state *state = &l->state;
		char *stack = uk_palloc(uk_alloc_get_default(), 1UL << CONFIG_STACK_ORDER);
		char *trap_stack = uk_palloc(uk_alloc_get_default(), TRAP_STACK_PAGES);
		__nsec end;

		if (!stack || !trap_stack)
			return;
		*l = (struct lcpu){ .self = l, .idx = i, .id = i, .boot_stack = stack + (PAGE_SIZE << CONFIG_STACK_ORDER) };
		smp_boot[i] = (struct smp_boot){ l, l->boot_stack, trap_stack + TRAP_STACK_PAGES * PAGE_SIZE };
		dsb();
		if (psci(PSCI_CPU_ON, i, (__u64)secondary_start, (__u64)&smp_boot[i])) {
			uk_pfree(uk_alloc_get_default(), trap_stack, TRAP_STACK_PAGES);
			uk_pfree(uk_alloc_get_default(), stack, 1UL << CONFIG_STACK_ORDER);
			return; /* no such CPU */
		}
		arch_page_unmap((__vaddr_t)stack);
		end = ukplat_monotonic_clock() + STARTUP_TIMEOUT;
		while (*state == LCPU_STATE_OFFLINE && ukplat_monotonic_clock() < end)
			arch_relax();
		if (*state == LCPU_STATE_OFFLINE) {
			uk_pr_warn("CPU %u does not start\n", i);
			return;
		}
		lcpu_count++;
	}
}
