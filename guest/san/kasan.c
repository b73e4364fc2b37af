/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime of GCC's -fsanitize=kernel-address, outlined: every load and store
 * calls in here. Layout, symbols and words are those of Unikraft's KASAN
 * (pull request 191, after Mimiker's): one shadow byte tells of eight bytes of
 * memory, 0 all good, 1 to 7 that many good, 0x80 and up none and why.
 *
 *   shadow_mem_base, up to a page      16 MiB of shadow
 *   behind it                          128 MiB it tells of, the heap in it
 *
 * Is itself compiled without the instrumentation.
 */
#define __LIBNAME__ "libkasan"
#include <guest/string.h>
#include <uk/crash.h>

#include "san.h"

#define SHADOW_SIZE (16ul << 20)
#define SCALE 3
#define GRANULE (1ul << SCALE)
#define CODE_OVERFLOW 0xfe /* kmalloc redzone */
#define CODE_FREED 0xff    /* kmalloc freed */

void *shadow_mem_base;
static int kasan_ready;

static __uptr shadow_start(void)
{
	return ALIGN_UP((__uptr)shadow_mem_base, PAGE_SIZE);
}

static __uptr sanitized_start(void)
{
	return shadow_start() + SHADOW_SIZE;
}

static bool sanitized(__uptr addr)
{
	return addr - sanitized_start() < SHADOW_SIZE << SCALE;
}

static __u8 *shadow_of(__uptr addr)
{
	return (__u8 *)shadow_start() + ((addr - sanitized_start()) >> SCALE);
}

static const char *code_name(__u8 code)
{
	switch (code) {
	case 1 ... 7:
		return "partial redzone";
	case CODE_OVERFLOW:
		return "buffer-overflow";
	case CODE_FREED:
		return "use-after-free";
	default:
		return "unknown redzone";
	}
}

/* All of Unikraft's shadow is cleared, also for RAM that is not there. */
__uptr kasan_reserve(__uptr base, __uptr end)
{
	if (end - base < 2 * SHADOW_SIZE)
		UK_CRASH("KASAN needs 32 MiB of memory for its shadow and the heap\n");
	shadow_mem_base = (void *)base;
	memset((void *)shadow_start(), 0, SHADOW_SIZE);
	return sanitized_start();
}

void kasan_init(void)
{
	kasan_ready = 1;
}

static void poison(__uptr from, __uptr to, __u8 code)
{
	if (from < to && sanitized(from) && sanitized(to - 1))
		memset(shadow_of(from), code, (to - from) >> SCALE);
}

void kasan_alloc(const void *p, size_t size, size_t room)
{
	__uptr at = (__uptr)p, good = ALIGN_DOWN(at + size, GRANULE);

	poison(at, good, 0);
	poison(good, at + room, CODE_OVERFLOW);
	if (size % GRANULE && room > good - at && sanitized(good))
		*shadow_of(good) = (__u8)(size % GRANULE);
}

void kasan_free(const void *p, size_t room)
{
	poison((__uptr)p, (__uptr)p + room, CODE_FREED);
}

static __noinline void report(__uptr addr, size_t size, bool read, __u8 code)
{
	uk_pr_crit("===========KernelAddressSanitizer===========\n"
		   "ERROR:\n"
		   "* invalid access to address %#lx\n"
		   "* %s of size %lu\n"
		   "* redzone code %#x (%s)\n"
		   "============================================\n",
		   addr, read ? "read" : "write", size, code, code_name(code));
	_uk_crash_from_code();
}

static __always_inline void check(__uptr addr, size_t size, bool read)
{
	if (!kasan_ready || !size || !sanitized(addr) || !sanitized(addr + size - 1))
		return;
	for (__uptr a = addr; a < addr + size; a = ALIGN_DOWN(a, GRANULE) + GRANULE) {
		__u8 code = *shadow_of(a);
		__uptr last = MIN(addr + size, ALIGN_DOWN(a, GRANULE) + GRANULE) - 1;

		if (code && (code >= GRANULE || last % GRANULE >= code))
			report(addr, size, read, code);
	}
}

#define CHECKS(size)                                                                                  \
	void __asan_load##size##_noabort(__uptr addr);                                                \
	void __asan_load##size##_noabort(__uptr addr) { check(addr, size, true); }                    \
	void __asan_store##size##_noabort(__uptr addr);                                               \
	void __asan_store##size##_noabort(__uptr addr) { check(addr, size, false); }

CHECKS(1)
CHECKS(2)
CHECKS(4)
CHECKS(8)
CHECKS(16)

void __asan_loadN_noabort(__uptr addr, size_t size);
void __asan_loadN_noabort(__uptr addr, size_t size)
{
	check(addr, size, true);
}

void __asan_storeN_noabort(__uptr addr, size_t size);
void __asan_storeN_noabort(__uptr addr, size_t size)
{
	check(addr, size, false);
}

/* Stacks are not poisoned, so there is nothing to clean up. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
}
