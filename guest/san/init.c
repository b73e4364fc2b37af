/* SPDX-License-Identifier: BSD-3-Clause */
/* The hooks of guest/san.h, handed on to the runtimes this image has. */
#include <guest/cmdline.h>
#include <guest/string.h>

#include "san.h"

char san_flavour[16];

__uptr san_reserve(__uptr base, __uptr end)
{
	return kasan_reserve ? kasan_reserve(base, end) : base;
}

void san_init(const char *cmdline)
{
	cmdline_value(cmdline, "san", san_flavour, sizeof san_flavour);
	if (kasan_init)
		kasan_init();
}

void fault_san(const char *kind)
{
	static const struct {
		const char *kind;
		void (*commit)(void);
	} faults[] = {
		{"smash", fault_smash}, {"ubsan", fault_ubsan}, {"kasan", fault_kasan},
		{"pkey", fault_pkey},   {"cfi", fault_cfi},
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(kind, faults[i].kind) && faults[i].commit)
			faults[i].commit();
}

void san_trap(const struct __regs *regs, int trapnr, unsigned long error_code, __vaddr_t addr)
{
	if (pkey_trap)
		pkey_trap(regs, trapnr, error_code, addr);
	if (kcfi_trap)
		kcfi_trap(regs, trapnr);
}

void san_heap_alloc(const void *p, size_t size, size_t room)
{
	if (kasan_alloc)
		kasan_alloc(p, size, room);
}

void san_heap_free(const void *p, size_t room)
{
	if (kasan_free)
		kasan_free(p, room);
}
