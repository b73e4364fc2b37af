/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel calls when an image is built without guest/stub. */
#include <guest/stub.h>
#include <guest/types.h>

__weak void gdb_stub_init(const char *cmdline) { (void)cmdline; }
__weak void gdb_stub_poll(struct __regs *regs) { (void)regs; }
__weak void gdb_stub_breakpoint(void) {}
__weak void gdb_stub_console(const char *text, size_t len) { (void)text, (void)len; }
__weak bool gdb_stub_trap(struct __regs *regs, int trapnr)
{
	(void)regs;
	(void)trapnr;
	return false;
}
