/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptor tables. Page and double faults run on stacks of their own, so that a stack overflow can be reported. */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/string.h>

#include "x86.h"

struct tss64 {
	__u32 reserved0;
	__u64 rsp[3];
	__u64 reserved1;
	__u64 ist[7];
	__u64 reserved2;
	__u16 reserved3;
	__u16 iomap_base;
} __packed;

struct idt_gate {
	__u16 offset_low;
	__u16 selector;
	__u8 ist : 3;
	__u8 : 5;
	__u8 type;
	__u16 offset_mid;
	__u32 offset_high;
	__u32 reserved;
} __packed;

struct table_register {
	__u16 limit;
	__u64 base;
} __packed;

struct trap_table_entry {
	__u64 vector;
	__u64 stub;
};
extern const struct trap_table_entry x86_trap_table[];

#define IST_DOUBLE_FAULT 1
#define IST_PAGE_FAULT 2
#define IST_STACK_SIZE 8192
#define SEL_CODE 0x08
#define SEL_TSS 0x18

static struct cpu_tables {
	__u64 gdt[5];
	struct tss64 tss __align(16);
	char ist_stack[2][IST_STACK_SIZE] __align(16);
} cpu_tables[CONFIG_LCPU_MAXCOUNT];

static struct idt_gate idt[256] __align(16);

static void idt_fill(void)
{
	for (const struct trap_table_entry *e = x86_trap_table; e->stub; e++)
		idt[e->vector] = (struct idt_gate){
			.offset_low = (__u16)e->stub,
			.selector = SEL_CODE,
			.ist = e->vector == X86_DF ? IST_DOUBLE_FAULT : e->vector == X86_PF ? IST_PAGE_FAULT : 0,
			.type = 0x8e, /* present interrupt gate */
			.offset_mid = (__u16)(e->stub >> 16),
			.offset_high = (__u32)(e->stub >> 32),
		};
}

static void gdt_fill(struct cpu_tables *t)
{
	__u64 base = (__u64)&t->tss;

	t->gdt[1] = 0x00af9b000000ffff;
	t->gdt[2] = 0x00cf93000000ffff;
	t->gdt[3] = (sizeof(t->tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
	t->gdt[4] = base >> 32;
	t->tss.iomap_base = sizeof(t->tss);
	t->tss.ist[IST_DOUBLE_FAULT - 1] = (__u64)(t->ist_stack[0] + IST_STACK_SIZE);
	t->tss.ist[IST_PAGE_FAULT - 1] = (__u64)(t->ist_stack[1] + IST_STACK_SIZE);
}

void x86_desc_init(struct lcpu *self)
{
	struct cpu_tables *t = &cpu_tables[self->idx];
	struct table_register gdtr = { sizeof(t->gdt) - 1, (__u64)t->gdt };
	struct table_register idtr = { sizeof(idt) - 1, (__u64)idt };

	gdt_fill(t);
	if (self->idx == 0)
		idt_fill();
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2" ::"m"(gdtr), "m"(idtr), "r"((__u16)SEL_TSS) : "memory");
	self->self = self;
	wrmsr(MSR_GS_BASE, (__u64)self);
}

struct lcpu *lcpu_current(void)
{
	struct lcpu *l;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(l));
	return l;
}
