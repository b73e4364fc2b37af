/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel calls when an image is built without a runtime of guest/san. */
#include <guest/san.h>

__weak __uptr san_reserve(__uptr base, __uptr end) { return (void)end, base; }
__weak void san_init(const char *cmdline) { (void)cmdline; }
__weak void fault_san(const char *kind) { (void)kind; }
__weak void san_trap(const struct __regs *regs, int trapnr, unsigned long error_code, __vaddr_t addr)
{
	(void)regs, (void)trapnr, (void)error_code, (void)addr;
}
__weak void san_heap_alloc(const void *p, size_t size, size_t room) { (void)p, (void)size, (void)room; }
__weak void san_heap_free(const void *p, size_t room) { (void)p, (void)room; }
