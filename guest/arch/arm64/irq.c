/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts: a GICv2 and the virtual timer, private interrupt 27. */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/stub.h>
#include <uk/crash.h>

#include "arm64.h"

#define GICD 0x08000000UL
#define GICC 0x08010000UL
#define GICD_CTLR 0x000
#define GICD_ISENABLER 0x100
#define GICD_IPRIORITYR 0x400
#define GICC_CTLR 0x00
#define GICC_PMR 0x04
#define GICC_IAR 0x0c
#define GICC_EOIR 0x10
#define IRQ_TIMER 27
#define IRQ_SPURIOUS 1023

static volatile __u32 *reg(__uptr base, unsigned int offset) { return (volatile __u32 *)(base + offset); }

unsigned long ukplat_lcpu_save_irqf(void)
{
	unsigned long f = sysreg_read(daif);

	__asm__ volatile("msr daifset, #2" ::: "memory");
	return f;
}

void ukplat_lcpu_restore_irqf(unsigned long f) { sysreg_write(daif, f); }
void ukplat_lcpu_enable_irq(void) { __asm__ volatile("msr daifclr, #2" ::: "memory"); }
void ukplat_lcpu_disable_irq(void) { __asm__ volatile("msr daifset, #2" ::: "memory"); }
void arch_relax(void) { __asm__ volatile("yield" ::: "memory"); }

void arch_wait_irq(void)
{
	__asm__ volatile("wfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::: "memory");
}

void arch_irq_cpu_init(void)
{
	if (lcpu_current()->idx == 0)
		*reg(GICD, GICD_CTLR) = 1;
	*(volatile __u8 *)(GICD + GICD_IPRIORITYR + IRQ_TIMER) = 0x80;
	*reg(GICD, GICD_ISENABLER) = 1u << IRQ_TIMER;
	*reg(GICC, GICC_PMR) = 0xff;
	*reg(GICC, GICC_CTLR) = 1;
	arch_timer_set(ukplat_monotonic_clock() + 1000000000 / CONFIG_TICK_HZ);
}

void trap_el1_irq(struct __regs *regs)
{
	struct lcpu *self = lcpu_current();
	__u32 iar = *reg(GICC, GICC_IAR), irq = iar & 0x3ff;

	if (irq == IRQ_SPURIOUS)
		return;
	self->irqs++;
	if (crash_halted)
		arch_halt();
	if (irq == IRQ_TIMER) {
		self->ticks++;
		arch_timer_set(ukplat_monotonic_clock() + 1000000000 / CONFIG_TICK_HZ);
	}
	*reg(GICC, GICC_EOIR) = iar;
	if (irq == IRQ_TIMER && self->idx == 0)
		gdb_stub_poll(regs);
}
