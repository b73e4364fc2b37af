/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arm64: registers in GDB's order (GDB manual, appendix G.5.1 "AArch64
 * Features", org.gnu.gdb.aarch64.core), software step by MDSCR_EL1.SS (Arm
 * ARM DDI 0487, D2.11), brk.
 */
#include <guest/arch.h>
#include <guest/stub.h>
#include <guest/string.h>

#include "stub.h"

#define EC_STEP_LOWER 0x32
#define EC_STEP 0x33
#define EC_BRK64 0x3c
#define BRK_MASK 0xffe0001fu
#define BRK 0xd4200000u
#define MDSCR_SS (1ul << 0)
#define MDSCR_KDE (1ul << 13)
#define SPSR_SS (1ul << 21)
#define SPSR_D (1ul << 9)

#define REG64(name) "<reg name=\"" name "\" bitsize=\"64\"/>"

const char stub_target_xml[] =
	"<?xml version=\"1.0\"?>\n"
	"<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
	"<target>\n<architecture>aarch64</architecture>\n"
	"<feature name=\"org.gnu.gdb.aarch64.core\">\n"
	REG64("x0") REG64("x1") REG64("x2") REG64("x3") REG64("x4") REG64("x5") REG64("x6") REG64("x7") "\n"
	REG64("x8") REG64("x9") REG64("x10") REG64("x11") REG64("x12") REG64("x13") REG64("x14") REG64("x15") "\n"
	REG64("x16") REG64("x17") REG64("x18") REG64("x19") REG64("x20") REG64("x21") REG64("x22") REG64("x23") "\n"
	REG64("x24") REG64("x25") REG64("x26") REG64("x27") REG64("x28") REG64("x29") REG64("x30") "\n"
	"<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/><reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>"
	"<reg name=\"cpsr\" bitsize=\"32\"/>\n"
	"</feature>\n</target>\n";

#define REGISTERS (33 * 8 + 4)

size_t stub_registers_read(const struct __regs *r, unsigned char *out)
{
	memcpy(out, r->x, 30 * 8);
	memcpy(out + 30 * 8, &r->lr, 8);
	memcpy(out + 31 * 8, &r->sp, 8);
	memcpy(out + 32 * 8, &r->elr_el1, 8);
	memcpy(out + 33 * 8, &r->spsr_el1, 4);
	return REGISTERS;
}

int stub_registers_write(struct __regs *r, const unsigned char *in, size_t len)
{
	if (len < REGISTERS)
		return -1;
	memcpy(r->x, in, 30 * 8);
	memcpy(&r->lr, in + 30 * 8, 8);
	memcpy(&r->sp, in + 31 * 8, 8);
	memcpy(&r->elr_el1, in + 32 * 8, 8);
	memcpy(&r->spsr_el1, in + 33 * 8, 4);
	return 0;
}

void stub_set_pc(struct __regs *r, uint64_t pc)
{
	r->elr_el1 = pc;
}

/* Debug exceptions also need the OS lock open and PSTATE.D clear. */
void stub_set_step(struct __regs *r, int on)
{
	unsigned long mdscr;

	__asm__ volatile("mrs %0, mdscr_el1" : "=r"(mdscr));
	if (on) {
		__asm__ volatile("msr oslar_el1, %0" : : "r"(0ul));
		mdscr |= MDSCR_SS | MDSCR_KDE;
		r->spsr_el1 |= SPSR_SS;
		r->spsr_el1 &= ~SPSR_D;
	} else {
		mdscr &= ~(MDSCR_SS | MDSCR_KDE);
		r->spsr_el1 &= ~SPSR_SS;
	}
	__asm__ volatile("msr mdscr_el1, %0; isb" : : "r"(mdscr));
}

int stub_is_debug_trap(int trapnr)
{
	return trapnr == EC_BRK64 || trapnr == EC_STEP || trapnr == EC_STEP_LOWER;
}

static int at_brk(uint64_t pc)
{
	uint32_t op;

	return stub_read_memory(&op, pc, sizeof op) == sizeof op && (op & BRK_MASK) == BRK;
}

int stub_breakpoint_gone(struct __regs *r, int trapnr)
{
	return trapnr == EC_BRK64 && !at_brk(r->elr_el1);
}

/*
 * brk leaves the pc on itself. A patched one has been taken out by now, so
 * one that is still there is compiled in and would trap for ever.
 */
void stub_leave_breakpoint(struct __regs *r, int trapnr)
{
	if (trapnr == EC_BRK64 && at_brk(r->elr_el1)) {
		r->elr_el1 += 4;
		r->spsr_el1 &= ~SPSR_SS; /* that was the step */
	}
}

void gdb_stub_breakpoint(void)
{
	__asm__ volatile("brk #0" : : : "memory");
}

/* PAR_EL1 after AT S1E1R: attributes 0x0n are device memory, where a read has
 * effects and a hole is an external abort. */
static int is_device(uint64_t va)
{
	unsigned long par;

	__asm__ volatile("at s1e1r, %1; isb; mrs %0, par_el1" : "=r"(par) : "r"(va) : "memory");
	return (par & 1) || par >> 60 == 0;
}

int stub_page_read(void *to, uint64_t from, size_t len)
{
	if (is_device(from))
		return 0;
	memcpy(to, (const void *)from, len);
	return 1;
}

/* A read-only page is opened for the time of the copy. */
void stub_page_write(uint64_t to, const void *from, size_t len)
{
	__vaddr_t page = ALIGN_DOWN(to, PAGE_SIZE);
	__u64 *pte, old;

	if (is_device(to))
		return;
	if (arch_mapped(to, len, true)) {
		memcpy((void *)to, from, len);
		return;
	}
	pte = arch_page_pte(page);
	old = *pte;
	arch_page_protect(page, PAGE_ATTR_READ | PAGE_ATTR_WRITE | PAGE_ATTR_EXEC);
	memcpy((void *)to, from, len);
	*pte = old;
	arch_tlb_flush(page);
}
