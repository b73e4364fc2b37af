/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86_64: registers in GDB's order (GDB manual, appendix G.5.6 "x86 Features",
 * org.gnu.gdb.i386.core), single step by RFLAGS.TF, int3.
 */
#include <guest/stub.h>
#include <guest/string.h>

#include "stub.h"

#define TRAP_DEBUG 1
#define TRAP_INT3 3
#define INT3 0xcc
#define RFLAGS_TF 0x100ul
#define CR0_WP (1ul << 16)
#define CR4_PKE (1ul << 22)

#define REG64(name) "<reg name=\"" name "\" bitsize=\"64\" type=\"int64\"/>"
#define REG32(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int32\"/>"
#define ST(n) "<reg name=\"st" n "\" bitsize=\"80\" type=\"i387_ext\"/>"
#define FP32(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define FLAG(name, bit) "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>"

const char stub_target_xml[] =
	"<?xml version=\"1.0\"?>\n"
	"<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
	"<target>\n<architecture>i386:x86-64</architecture>\n"
	"<feature name=\"org.gnu.gdb.i386.core\">\n"
	"<flags id=\"x64_eflags\" size=\"4\">\n"
	FLAG("CF", "0") FLAG("PF", "2") FLAG("AF", "4") FLAG("ZF", "6") FLAG("SF", "7") FLAG("TF", "8") FLAG("IF", "9")
	FLAG("DF", "10") FLAG("OF", "11") "<field name=\"IOPL\" start=\"12\" end=\"13\"/>" FLAG("NT", "14")
	FLAG("RF", "16") FLAG("VM", "17") FLAG("AC", "18") FLAG("VIF", "19") FLAG("VIP", "20") FLAG("ID", "21")
	"\n</flags>\n"
	REG64("rax") REG64("rbx") REG64("rcx") REG64("rdx") REG64("rsi") REG64("rdi") "\n"
	"<reg name=\"rbp\" bitsize=\"64\" type=\"data_ptr\"/><reg name=\"rsp\" bitsize=\"64\" type=\"data_ptr\"/>\n"
	REG64("r8") REG64("r9") REG64("r10") REG64("r11") REG64("r12") REG64("r13") REG64("r14") REG64("r15") "\n"
	"<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\"/>"
	"<reg name=\"eflags\" bitsize=\"32\" type=\"x64_eflags\"/>\n"
	REG32("cs") REG32("ss") REG32("ds") REG32("es") REG32("fs") REG32("gs") "\n"
	ST("0") ST("1") ST("2") ST("3") ST("4") ST("5") ST("6") ST("7") "\n"
	FP32("fctrl") FP32("fstat") FP32("ftag") FP32("fiseg") FP32("fioff") FP32("foseg") FP32("fooff") FP32("fop") "\n"
	"</feature>\n</target>\n";

#define AT(field, size) {offsetof(struct __regs, field), size}

/* What struct __regs has, in the order of target.xml. */
static const struct {
	unsigned char offset, size;
} saved[] = {
	AT(rax, 8), AT(rbx, 8), AT(rcx, 8), AT(rdx, 8), AT(rsi, 8), AT(rdi, 8), AT(rbp, 8), AT(rsp, 8),
	AT(r8, 8), AT(r9, 8), AT(r10, 8), AT(r11, 8), AT(r12, 8), AT(r13, 8), AT(r14, 8), AT(r15, 8),
	AT(rip, 8), AT(eflags, 4), AT(cs, 4), AT(ss, 4),
};

/* ds es fs gs, eight 80-bit stack registers, eight control words: all zero. */
#define NOT_SAVED (4 * 4 + 8 * 10 + 8 * 4)

size_t stub_registers_read(const struct __regs *r, unsigned char *out)
{
	unsigned char *p = out;

	for (size_t i = 0; i < ARRAY_SIZE(saved); i++) {
		memcpy(p, (const char *)r + saved[i].offset, saved[i].size);
		p += saved[i].size;
	}
	memset(p, 0, NOT_SAVED);
	return (size_t)(p + NOT_SAVED - out);
}

/* What is not saved cannot be written; a G may end before it. */
int stub_registers_write(struct __regs *r, const unsigned char *in, size_t len)
{
	size_t need = 0;

	for (size_t i = 0; i < ARRAY_SIZE(saved); i++)
		need += saved[i].size;
	if (len < need)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(saved); i++) {
		memcpy((char *)r + saved[i].offset, in, saved[i].size);
		in += saved[i].size;
	}
	return 0;
}

void stub_set_pc(struct __regs *r, uint64_t pc)
{
	r->rip = pc;
}

void stub_set_step(struct __regs *r, int on)
{
	r->eflags = on ? r->eflags | RFLAGS_TF : r->eflags & ~RFLAGS_TF;
}

int stub_is_debug_trap(int trapnr)
{
	return trapnr == TRAP_DEBUG || trapnr == TRAP_INT3;
}

int stub_breakpoint_gone(struct __regs *r, int trapnr)
{
	unsigned char op;

	if (trapnr != TRAP_INT3 || stub_read_memory(&op, r->rip - 1, 1) != 1 || op == INT3)
		return 0;
	r->rip--;
	return 1;
}

/* int3 is a trap: rip is behind it already. */
void stub_leave_breakpoint(struct __regs *r, int trapnr)
{
	(void)r;
	(void)trapnr;
}

void gdb_stub_breakpoint(void)
{
	__asm__ volatile("int3" : : : "memory");
}

static unsigned long read_cr0(void)
{
	unsigned long v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static void write_cr0(unsigned long v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

/* Lifts protection keys; returns what restores them. */
static unsigned int keys_open(void)
{
	unsigned long cr4;
	unsigned int pkru;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if (!(cr4 & CR4_PKE))
		return 0;
	__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	if (pkru)
		__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0) : "memory");
	return pkru;
}

static void keys_close(unsigned int pkru)
{
	if (pkru)
		__asm__ volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

int stub_page_read(void *to, uint64_t from, size_t len)
{
	unsigned int pkru = keys_open();

	memcpy(to, (const void *)from, len);
	keys_close(pkru);
	return 1;
}

/* CR0.WP off lets ring 0 write what is mapped read-only (SDM vol. 3, 4.6). */
void stub_page_write(uint64_t to, const void *from, size_t len)
{
	unsigned int pkru = keys_open();
	unsigned long cr0 = read_cr0();

	write_cr0(cr0 & ~CR0_WP);
	memcpy((void *)to, from, len);
	write_cr0(cr0);
	keys_close(pkru);
}
