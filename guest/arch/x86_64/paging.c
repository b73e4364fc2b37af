/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page table: RAM mapped one to one, the first page and stack guards missing, read-only data read-only, data and heap
 * not executable. Code stays writable: an in-image debugger patches it.
 */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/sections.h>
#include <guest/string.h>
#include <uk/alloc.h>
#include <uk/assert.h>

#include "x86.h"

extern __u64 boot_pml4[512], boot_pdpt[512], boot_pd[512];
extern char boot_stack_guard[];

#define EARLY_TABLES 6
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

static __u64 *table_of(__u64 *entry)
{
	if (!(*entry & PTE_P))
		*entry = (__u64)table_alloc() | PTE_P | PTE_W;
	return (__u64 *)(*entry & PTE_ADDR);
}

static void split_large(__u64 *pde)
{
	__u64 *pt = table_alloc(), attr = *pde & ~(PTE_ADDR | PTE_PS), base = *pde & PTE_ADDR;

	for (unsigned int i = 0; i < 512; i++)
		pt[i] = (base + i * PAGE_SIZE) | attr;
	*pde = (__u64)pt | PTE_P | PTE_W;
}

__u64 *arch_page_pte(__vaddr_t va)
{
	__u64 *pdpt = table_of(&boot_pml4[va >> 39 & 511]);
	__u64 *pde = &table_of(&pdpt[va >> 30 & 511])[va >> 21 & 511];

	if (*pde & PTE_PS)
		split_large(pde);
	return &table_of(pde)[va >> 12 & 511];
}

void arch_tlb_flush(__vaddr_t va) { __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory"); }

void arch_page_unmap(__vaddr_t va)
{
	*arch_page_pte(va) = 0;
	arch_tlb_flush(va);
}

void arch_page_protect(__vaddr_t va, unsigned int attr)
{
	*arch_page_pte(va) = va | PTE_P | (attr & PAGE_ATTR_WRITE ? PTE_W : 0) | (attr & PAGE_ATTR_EXEC ? 0 : PTE_NX);
	arch_tlb_flush(va);
}

static void protect_range(const char *from, const char *to, unsigned int attr)
{
	for (__vaddr_t p = (__vaddr_t)from; p < (__vaddr_t)to; p += PAGE_SIZE)
		arch_page_protect(p, attr);
}

void x86_page_init(__paddr_t ram_end)
{
	/* Code lies in the first 2 MiB: that entry stays executable until its pages are told apart. */
	for (unsigned int i = 1; i < 512; i++) {
		__paddr_t base = (__paddr_t)i << 21;

		boot_pd[i] = base < ram_end ? base | PTE_P | PTE_W | PTE_PS | PTE_NX : 0;
	}
	for (__paddr_t p = 0; p < 2UL << 20; p += PAGE_SIZE) {
		bool code = (p >= (__paddr_t)_text && p < (__paddr_t)_etext) || p == 0x8000; /* the trampoline */

		arch_page_protect(p, PAGE_ATTR_READ | PAGE_ATTR_WRITE | (code ? PAGE_ATTR_EXEC : 0));
	}
	protect_range(_rodata, _erodata, PAGE_ATTR_READ);
	arch_page_unmap(0);
	arch_page_unmap((__vaddr_t)boot_stack_guard);
	__asm__ volatile("mov %0, %%cr3" ::"r"(read_cr3()) : "memory");
}

/* The entry that maps va, at whatever level, or NULL. */
static const __u64 *leaf(__vaddr_t va)
{
	const __u64 *e = &boot_pml4[va >> 39 & 511];

	if ((__s64)(va << 16) >> 16 != (__s64)va) /* not canonical */
		return NULL;
	for (int shift = 30; *e & PTE_P; shift -= 9) {
		e = (const __u64 *)(*e & PTE_ADDR) + (va >> shift & 511);
		if (shift == 12 || *e & PTE_PS)
			return *e & PTE_P ? e : NULL;
	}
	return NULL;
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

		if (!e || (write && !(*e & PTE_W)))
			return false;
		if (last - p < PAGE_SIZE)
			return true;
	}
}

void arch_sync_icache(__vaddr_t va, size_t len) { (void)va, (void)len; /* coherent on x86 */ }
