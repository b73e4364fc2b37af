/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=pkey: memory protection keys (Intel SDM vol. 3, 4.6.2). One page gets
 * a key that PKRU then closes, and a request touches it. san=read closes it
 * for reading too and reads; without it the key only forbids writing.
 *
 * The report is FlexOS's (its patch of plat/kvm/x86/traps.c), the only
 * unikernel with such a one.
 */
#include <guest/arch.h>
#include <guest/crash_arch.h>
#include <guest/string.h>
#include <uk/crash.h>

#include "san.h"

#define TRAP_PAGE_FAULT 14
#define ERROR_WRITE (1ul << 1)
#define ERROR_PK (1ul << 5)

#define CPUID_PKU (1u << 3)
#define CR4_PKE (1ul << 22)
#define PTE_USER (1ul << 2)
#define PTE_LARGE (1ul << 7)
#define PTE_ADDRESS 0x000ffffffffff000ul
#define PTE_KEY_SHIFT 59
#define KEY 1u
#define PKRU_NO_ACCESS (1u << (2 * KEY))
#define PKRU_NO_WRITE (2u << (2 * KEY))

/* Somebody's keys, alone in their page. */
static char vault[PAGE_SIZE] __align(PAGE_SIZE) = "-----BEGIN PRIVATE KEY-----";

static bool has_pku(void)
{
	unsigned int a = 0, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (a < 7)
		return false;
	a = 7;
	c = 0;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & CPUID_PKU;
}

static void wrpkru(unsigned int pkru)
{
	__asm__ volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

static unsigned int rdpkru(void)
{
	unsigned int pkru;

	__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	return pkru;
}

/* The entry of va at level 4 (PML4) to 1, or the leaf above it. NULL: none. */
static __u64 *entry(__vaddr_t va, int level)
{
	__u64 cr3, *table;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	table = (__u64 *)(cr3 & PTE_ADDRESS);
	for (int l = 4;; l--) {
		__u64 *e = &table[va >> (PAGE_SHIFT + 9 * (l - 1)) & 511];

		if (!(*e & 1))
			return NULL;
		if (l == level || (l < 4 && *e & PTE_LARGE))
			return e;
		table = (__u64 *)(*e & PTE_ADDRESS);
	}
}

/* PKRU rules user pages only, and a page is one if all its levels say so. */
static void set_key(__vaddr_t va, unsigned int key)
{
	__u64 *leaf = arch_page_pte(va);

	for (int level = 4; level > 1; level--)
		*entry(va, level) |= PTE_USER;
	*leaf |= PTE_USER | (__u64)key << PTE_KEY_SHIFT;
	arch_tlb_flush(va);
}

static int key_of(__vaddr_t va)
{
	const __u64 *e = entry(va, 1);

	return e ? (int)(*e >> PTE_KEY_SHIFT & 15) : -1;
}

static __noinline void vault_store(char *to, const char *text)
{
	*(volatile char *)to = *text;
}

static __noinline char vault_load(const char *from)
{
	return *(const volatile char *)from;
}

static __noinline void vault_rotate(bool read)
{
	if (read)
		vault_store(vault + 64, (char[]){vault_load(vault)});
	else
		vault_store(vault, "*");
	barrier();
}

static __noinline void request_keys(bool read)
{
	vault_rotate(read);
	barrier();
}

void fault_pkey(void)
{
	bool read = !strcmp(san_flavour, "read");
	unsigned long cr4;

	if (!has_pku()) {
		uk_pr_crit("fault=pkey: this CPU has no protection keys (CPUID.7.0:ECX.PKU is 0); with QEMU use -cpu max\n");
		return;
	}
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PKE));
	set_key((__vaddr_t)vault, KEY);
	wrpkru(read ? PKRU_NO_ACCESS : PKRU_NO_WRITE);
	request_keys(read);
	barrier();
}

void pkey_trap(const struct __regs *regs, int trapnr, unsigned long error_code, __vaddr_t addr)
{
	bool in_vault = addr - (__vaddr_t)vault < sizeof vault;

	if (trapnr != TRAP_PAGE_FAULT || !(error_code & ERROR_PK))
		return;
	uk_pr_crit("Page fault at linear address %lx, rip %lx, regs %p, sp %lx, our_sp %p, code %lx\n", addr, regs->rip,
		   (const void *)regs, regs->rsp, __builtin_frame_address(0), error_code);
	uk_pr_crit("PF_PK: protection key block access (%s)\n", error_code & ERROR_WRITE ? "WRITE" : "READ");
	uk_pr_crit("Target page %#lx (section %s) had key %d\n", ALIGN_DOWN(addr, PAGE_SIZE), in_vault ? ".data" : ".unknown",
		   key_of(addr));
	crash_dump_regs_a(regs);
	uk_pr_crit("PKU: %016lx\n", (unsigned long)rdpkru());
}
