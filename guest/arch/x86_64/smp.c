/* SPDX-License-Identifier: BSD-3-Clause */
/* Further CPUs: INIT, SIPI, and a trampoline at 0x8000. */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/string.h>
#include <uk/alloc.h>
#include <uk/print.h>

#include "x86.h"

#define LAPIC_BASE 0xfee00000UL
#define LAPIC_ID 0x020
#define LAPIC_EOI 0x0b0
#define LAPIC_SVR 0x0f0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_TIMER_INIT 0x380
#define LAPIC_TIMER_DIVIDE 0x3e0
#define TIMER_PERIODIC 0x20000
#define TIMER_PERIOD 625000 /* QEMU's bus clock is 1 GHz; divided by 16 this is 10 ms */
#define TRAMPOLINE 0x8000UL
#define STARTUP_TIMEOUT 200000000ULL /* ns */

extern const char smp_trampoline[], smp_trampoline_end[], smp_trampoline_params[];

struct trampoline_params {
	__u64 pml4;
	struct lcpu *lcpu;
	void *stack_top;
	void (*entry)(struct lcpu *);
};

static volatile __u32 *lapic(unsigned int reg) { return (volatile __u32 *)(LAPIC_BASE + reg); }

void x86_lapic_eoi(void) { *lapic(LAPIC_EOI) = 0; }
__u8 x86_lapic_id(void) { return (__u8)(*lapic(LAPIC_ID) >> 24); }

void x86_lapic_ipi(__u8 apic_id, __u32 command)
{
	*lapic(LAPIC_ICR_HIGH) = (__u32)apic_id << 24;
	*lapic(LAPIC_ICR_LOW) = command;
	while (*lapic(LAPIC_ICR_LOW) & 0x1000) /* still being sent */
		arch_relax();
}

void x86_lapic_init(void)
{
	*lapic(LAPIC_SVR) = 0x100 | IRQ_LAPIC_SPURIOUS;
	*lapic(LAPIC_TIMER_DIVIDE) = 0x3; /* by 16 */
	*lapic(LAPIC_LVT_TIMER) = TIMER_PERIODIC | IRQ_LAPIC_TIMER;
	*lapic(LAPIC_TIMER_INIT) = TIMER_PERIOD;
}

static void delay(__nsec ns)
{
	__nsec end = ukplat_monotonic_clock() + ns;

	while (ukplat_monotonic_clock() < end)
		arch_relax();
}

static void secondary_entry(struct lcpu *self)
{
	x86_desc_init(self);
	lcpu_secondary_main(self);
}

static bool start_one(struct lcpu *l)
{
	volatile enum lcpu_state *state = &l->state;
	char *stack = uk_palloc(uk_alloc_get_default(), 1UL << CONFIG_STACK_ORDER);
	struct trampoline_params *p =
		(struct trampoline_params *)(TRAMPOLINE + (__uptr)(smp_trampoline_params - smp_trampoline));
	__nsec end;

	if (!stack)
		return false;
	arch_page_unmap((__vaddr_t)stack);
	l->boot_stack = stack + (PAGE_SIZE << CONFIG_STACK_ORDER);
	memcpy((void *)TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
	*p = (struct trampoline_params){ read_cr3(), l, l->boot_stack, secondary_entry };

	x86_lapic_ipi((__u8)l->id, 0x4500); /* INIT */
	delay(10000000);
	for (unsigned int i = 0; i < 2 && *state == LCPU_STATE_OFFLINE; i++) {
		x86_lapic_ipi((__u8)l->id, 0x4600 | TRAMPOLINE >> 12); /* SIPI */
		delay(200000);
	}
	end = ukplat_monotonic_clock() + STARTUP_TIMEOUT;
	while (*state == LCPU_STATE_OFFLINE && ukplat_monotonic_clock() < end)
		arch_relax();
	return *state != LCPU_STATE_OFFLINE;
}

void arch_smp_start(void)
{
	unsigned int n = MIN(x86_fw_cfg_cpus(), CONFIG_LCPU_MAXCOUNT);

	if (n < 2)
		return;
	*arch_page_pte(LAPIC_BASE) = LAPIC_BASE | PTE_P | PTE_W | PTE_NX | 0x18; /* uncached */
	arch_tlb_flush(LAPIC_BASE);
	*lapic(LAPIC_SVR) = 0x100 | IRQ_LAPIC_SPURIOUS;
	lcpus[0].id = x86_lapic_id();
	for (unsigned int i = 1; i < n; i++) {
		lcpus[i].idx = i;
		lcpus[i].id = i; /* QEMU numbers its APICs from 0 */
		if (!start_one(&lcpus[i])) {
			uk_pr_warn("CPU %u does not start\n", i);
			return;
		}
		lcpu_count++;
	}
}
