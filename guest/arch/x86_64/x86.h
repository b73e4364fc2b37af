/* SPDX-License-Identifier: BSD-3-Clause */
/* Instructions and tables shared by the files of arch/x86_64. */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#include <guest/regs.h>
#include <uk/lcpu.h>

static inline void outb(__u16 port, __u8 v) { __asm__ volatile("outb %b0, %w1" ::"a"(v), "Nd"(port)); }
static inline void outw(__u16 port, __u16 v) { __asm__ volatile("outw %w0, %w1" ::"a"(v), "Nd"(port)); }
static inline __u8 inb(__u16 port)
{
	__u8 v;

	__asm__ volatile("inb %w1, %b0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline __u64 rdtsc(void)
{
	__u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (__u64)hi << 32 | lo;
}
static inline void wrmsr(__u32 msr, __u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((__u32)v), "d"((__u32)(v >> 32)) : "memory");
}
static inline __u64 rdmsr(__u32 msr)
{
	__u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (__u64)hi << 32 | lo;
}
static inline __u64 read_cr2(void)
{
	__u64 v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}
static inline __u64 read_cr3(void)
{
	__u64 v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

#define MSR_GS_BASE 0xc0000101
#define X86_DF 8
#define X86_GP 13
#define X86_PF 14
#define PF_WRITE 0x2
#define PF_EXEC 0x10
#define IRQ_PIT 32
#define IRQ_PIC_SPURIOUS 39
#define IRQ_LAPIC_TIMER 64
#define IRQ_LAPIC_SPURIOUS 255

#define PTE_P 0x1ULL
#define PTE_W 0x2ULL
#define PTE_PS 0x80ULL
#define PTE_NX (1ULL << 63)
#define PTE_ADDR 0x000ffffffffff000ULL

void x86_desc_init(struct lcpu *self); /* GDT with a TSS, IDT, GS base, of the calling CPU */
void x86_page_init(__paddr_t ram_end);
void x86_time_init(void);
void x86_lapic_init(void);
void x86_lapic_eoi(void);
void x86_lapic_ipi(__u8 apic_id, __u32 command);
__u8 x86_lapic_id(void);
unsigned int x86_fw_cfg_cpus(void);
void x86_trap(struct __regs *regs, int vector);
void x86_irq(struct __regs *regs, int vector);

#endif
