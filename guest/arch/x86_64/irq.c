/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts: the PIT through the PIC on the boot CPU, the local APIC's timer on the others. */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/stub.h>
#include <uk/crash.h>

#include "x86.h"

unsigned long ukplat_lcpu_save_irqf(void)
{
	unsigned long f;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(f)::"memory");
	return f;
}

void ukplat_lcpu_restore_irqf(unsigned long f)
{
	if (f & 0x200)
		__asm__ volatile("sti" ::: "memory");
}

void ukplat_lcpu_enable_irq(void) { __asm__ volatile("sti" ::: "memory"); }
void ukplat_lcpu_disable_irq(void) { __asm__ volatile("cli" ::: "memory"); }
void arch_wait_irq(void) { __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory"); }
void arch_relax(void) { __asm__ volatile("pause" ::: "memory"); }

static void pic_init(void)
{
	static const __u8 words[2][4] = { { 0x11, IRQ_PIT, 4, 1 }, { 0x11, IRQ_PIT + 8, 2, 1 } };

	for (unsigned int i = 0; i < 2; i++) {
		__u16 port = i ? 0xa0 : 0x20;

		outb(port, words[i][0]);
		for (unsigned int w = 1; w < 4; w++)
			outb(port + 1, words[i][w]);
		outb(port + 1, i ? 0xff : 0xfe); /* only line 0, the PIT */
	}
}

void arch_irq_cpu_init(void)
{
	if (lcpu_current()->idx == 0) {
		pic_init();
		arch_timer_set(ukplat_monotonic_clock() + 1000000000 / CONFIG_TICK_HZ);
	} else {
		x86_lapic_init();
	}
}

void x86_irq(struct __regs *regs, int vector)
{
	struct lcpu *self = lcpu_current();

	self->irqs++;
	if (crash_halted)
		arch_halt();
	switch (vector) {
	case IRQ_PIT:
		self->ticks++;
		outb(0x20, 0x20);
		arch_timer_set(ukplat_monotonic_clock() + 1000000000 / CONFIG_TICK_HZ);
		gdb_stub_poll(regs);
		return;
	case IRQ_LAPIC_TIMER:
		self->ticks++;
		x86_lapic_eoi();
		return;
	}
}
