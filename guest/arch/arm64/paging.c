/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page table: 39-bit addresses, 4 KiB granule, RAM and devices mapped one to one. Missing: the first GiB below the devices (and so
 * the null page) and stack guards. Code stays writable: an in-image debugger patches it.
 */
#include <guest/arch.h>
#include <guest/sections.h>
#include <guest/string.h>
#include <uk/alloc.h>
#include <uk/assert.h>

#include "arm64.h"

extern __u64 boot_l1[512];
extern char boot_stack_guard[];

#define EARLY_TABLES 6
#define BLOCK (2UL << 20)
#define DEVICES_START 0x08000000UL
#define NORMAL (PTE_VALID | PTE_AF | PTE_INNER | PTE_NORMAL | PTE_UXN)
#define DEVICE (PTE_VALID | PTE_AF | PTE_DEVICE | PTE_UXN | PTE_PXN)

static __u64 early_tables[EARLY_TABLES][512] __align(4096);
static unsigned int early_used;

static __u64 *table_alloc(void)
{
	__u64 *t;

	if (early_used < EARLY_TABLES)
		return early_tables[early_used++];
	t = uk_palloc(uk_alloc_get_default(), 1);
	UK_ASSERT(t != NULL);
	return memset(t, 0, PAGE_SIZE);
}

static void set(__u64 *entry, __u64 v)
{
	*entry = v;
	dsb();
}

static bool is_table(__u64 e) { return (e & (PTE_VALID | PTE_TABLE)) == (PTE_VALID | PTE_TABLE); }

static __u64 *table_of(__u64 *entry)
{
	if (!is_table(*entry))
		set(entry, (__u64)table_alloc() | PTE_VALID | PTE_TABLE);
	return (__u64 *)(*entry & PTE_ADDR);
}

void arch_tlb_flush(__vaddr_t va)
{
	dsb();
	__asm__ volatile("tlbi vaae1is, %0" ::"r"(va >> 12) : "memory");
	dsb();
	isb();
}

static void split_block(__u64 *pmd)
{
	__u64 *pt = table_alloc(), attr = *pmd & ~PTE_ADDR, base = *pmd & PTE_ADDR;

	for (unsigned int i = 0; i < 512; i++)
		pt[i] = (base + i * PAGE_SIZE) | attr | PTE_PAGE;
	set(pmd, (__u64)pt | PTE_VALID | PTE_TABLE);
	arch_tlb_flush(base);
}

__u64 *arch_page_pte(__vaddr_t va)
{
	__u64 *pmd = &table_of(&boot_l1[va >> 30 & 511])[va >> 21 & 511];

	if (*pmd & PTE_VALID && !is_table(*pmd))
		split_block(pmd);
	return &table_of(pmd)[va >> 12 & 511];
}

void arch_page_unmap(__vaddr_t va)
{
	set(arch_page_pte(va), 0);
	arch_tlb_flush(va);
}

void arch_page_protect(__vaddr_t va, unsigned int attr)
{
	set(arch_page_pte(va), va | NORMAL | PTE_PAGE | (attr & PAGE_ATTR_WRITE ? 0 : PTE_RO) |
				       (attr & PAGE_ATTR_EXEC ? 0 : PTE_PXN));
	arch_tlb_flush(va);
}

/* New tables for the two GiB in use are made beside the old ones and hung in at the end. */
void arm64_page_init(void)
{
	__u64 *devices = table_alloc(), *ram = table_alloc();

	for (__paddr_t p = DEVICES_START; p < 1UL << 30; p += BLOCK)
		devices[p >> 21] = p | DEVICE;
	for (__paddr_t p = machine.ram_start; p < machine.ram_end; p += BLOCK) {
		bool code = p + BLOCK > (__paddr_t)_text && p < (__paddr_t)_etext;

		ram[p >> 21 & 511] = p | NORMAL | (code ? 0 : PTE_PXN);
	}
	dsb();
	set(&boot_l1[0], (__u64)devices | PTE_VALID | PTE_TABLE);
	set(&boot_l1[machine.ram_start >> 30], (__u64)ram | PTE_VALID | PTE_TABLE);
	__asm__ volatile("tlbi vmalle1is" ::: "memory");
	dsb();
	isb();
	for (__vaddr_t p = (__vaddr_t)_etext; p < (__vaddr_t)_end; p += PAGE_SIZE)
		arch_page_protect(p, p < (__vaddr_t)_erodata ? PAGE_ATTR_READ : PAGE_ATTR_READ | PAGE_ATTR_WRITE);
	arch_page_unmap((__vaddr_t)boot_stack_guard);
}

/* The entry that maps va, at whatever level, or NULL. */
static const __u64 *leaf(__vaddr_t va)
{
	const __u64 *e;

	if (va >> 39)
		return NULL;
	e = &boot_l1[va >> 30];
	for (int shift = 21; shift >= 12 && is_table(*e); shift -= 9)
		e = (const __u64 *)(*e & PTE_ADDR) + (va >> shift & 511);
	return *e & PTE_VALID ? e : NULL;
}

bool arch_mapped(__vaddr_t va, size_t len, bool write)
{
	__vaddr_t last = va + len - 1;

	if (!len)
		return true;
	if (last < va)
		return false;
	for (__vaddr_t p = ALIGN_DOWN(va, PAGE_SIZE);; p += PAGE_SIZE) {
		const __u64 *e = leaf(p);

		if (!e || (write && (*e & PTE_RO)))
			return false;
		if (last - p < PAGE_SIZE)
			return true;
	}
}

void arch_sync_icache(__vaddr_t va, size_t len)
{
	for (__vaddr_t p = ALIGN_DOWN(va, 16); p < va + len; p += 16) /* the smallest line there is */
		__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0" ::"r"(p) : "memory");
	dsb();
	isb();
}
