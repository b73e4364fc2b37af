/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sanitizer and hardening runtimes (guest/san/). The kernel calls these; kern/san_absent.c has weak fallbacks.
 */
#ifndef GUEST_SAN_H
#define GUEST_SAN_H

#include <guest/regs.h>

/*
 * Called with paging and traps up, just before the heap is made of [base, end): returns where the heap may begin. KASAN keeps
 * its shadow below that (16 MiB, as Unikraft's does); the other images return base.
 */
__uptr san_reserve(__uptr base, __uptr end);

/* Called once, with paging, traps and the heap up, before other threads exist. */
void san_init(const char *cmdline);

/*
 * Commits the fault `kind` ("smash", "ubsan", "kasan", "pkey", "cfi") in the calling thread. Returns if this image was
 * built without that check: the caller then says so on the console.
 */
void fault_san(const char *kind);

/*
 * Called by the trap handlers before the generic report, interrupts off. trapnr as in gdb_stub_trap(). Prints what it knows of a
 * trap of its own (a pkey fault, a kCFI trap) and returns; the generic report follows in any case.
 */
void san_trap(const struct __regs *regs, int trapnr, unsigned long error_code, __vaddr_t addr);

/*
 * Heap hooks: size bytes at p are usable out of room bytes; then freed. No-ops without KASAN. p and room are multiples of 8;
 * where CONFIG_KASAN is defined the allocator asks for at least 16 bytes more than size, so that there is a redzone.
 */
void san_heap_alloc(const void *p, size_t size, size_t room);
void san_heap_free(const void *p, size_t room);

#endif
