/* SPDX-License-Identifier: BSD-3-Clause */
/* Self-relocation of the position-independent variants. Runs before anything else, so it uses nothing that needs it. */
#ifdef GUEST_PIE
#include <guest/sections.h>
#include <guest/types.h>

struct elf64_rela {
	__u64 offset;
	__u64 info;
	__s64 addend;
};
extern const struct elf64_rela __rela_start[], __rela_end[];

#ifdef __x86_64__
#define R_RELATIVE 8
#else
#define R_RELATIVE 1027
#endif

void reloc_apply(__u64 slide);

void reloc_apply(__u64 slide)
{
	for (const struct elf64_rela *r = __rela_start; r < __rela_end; r++)
		if ((__u32)r->info == R_RELATIVE)
			*(__u64 *)(r->offset + slide) = (__u64)r->addend + slide;
}
#else
typedef int reloc_not_needed;
#endif
