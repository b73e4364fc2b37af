/* SPDX-License-Identifier: BSD-3-Clause */
/* What an architecture gives the neutral kernel. Implemented in arch/x86_64 and arch/arm64. */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include <guest/regs.h>

/* Serial ports, memory size and command line from the loader; then page table, traps, clock. Boot CPU only. */
void arch_early_init(__uptr loader_info);
const char *arch_cmdline(void);
__paddr_t arch_ram_end(void); /* exclusive; at most CONFIG_RAM_MAX above the start of RAM */

/* Interrupts. The flags word is opaque. */
unsigned long ukplat_lcpu_save_irqf(void); /* returns the state and disables interrupts */
void ukplat_lcpu_restore_irqf(unsigned long flags);
void ukplat_lcpu_enable_irq(void);
void ukplat_lcpu_disable_irq(void);
void arch_wait_irq(void); /* enables interrupts and sleeps till one was taken; returns with them disabled */
void arch_relax(void);    /* a hint inside a spin loop */

/* Time: nanoseconds since boot; the tick timer fires once on this CPU at the given time. */
__nsec ukplat_monotonic_clock(void);
void arch_timer_set(__nsec deadline);
void arch_irq_cpu_init(void); /* this CPU's interrupt controller and timer */

/* Machine control. */
void arch_halt(void) __noreturn;              /* interrupts off, for ever */
void arch_poweroff(int status) __noreturn;    /* ends QEMU: x86 isa-debug-exit (2*status+1), else ACPI/PSCI off */
void arch_smp_start(void);                    /* starts every further CPU; each ends up in lcpu_secondary_main() */

/* Page table of the running guest. Addresses are page aligned; the table is identity mapped. */
#define PAGE_ATTR_READ 1
#define PAGE_ATTR_WRITE 2
#define PAGE_ATTR_EXEC 4
void arch_page_unmap(__vaddr_t va);
void arch_page_protect(__vaddr_t va, unsigned int attr);
__u64 *arch_page_pte(__vaddr_t va); /* its 4 KiB leaf entry, splitting a large page if need be */
void arch_tlb_flush(__vaddr_t va);
/* Walks the table in software: are all bytes of [va, va+len) mapped (and writable if asked)? Never faults. */
bool arch_mapped(__vaddr_t va, size_t len, bool write);
/* Makes fresh instruction bytes at [va, va+len) visible to instruction fetch. */
void arch_sync_icache(__vaddr_t va, size_t len);

/* Saved frame pointer chain, for the crash report: return address and next frame of the frame at fp. */
bool arch_frame_next(__vaddr_t fp, __vaddr_t *next, __vaddr_t *ret);

#endif
