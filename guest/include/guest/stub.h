/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-image GDB stub (guest/stub/). The kernel calls these; kern/stub_absent.c has weak fallbacks.
 *
 * Boot options, each of which enables the stub on uart_debug: debug.gdb=1 alone; debug.gdbwait breaks at boot and
 * waits for a debugger; debug.gdbint=1 adds what Unikraft lacks, a stop on a received 0x03; debug.gdbconsole=1 sends
 * the console as O packets, too.
 */
#ifndef GUEST_STUB_H
#define GUEST_STUB_H

#include <guest/regs.h>

/* Called once on the boot CPU, after the serial ports, traps and the page table are up, before the scheduler. */
void gdb_stub_init(const char *cmdline);

/*
 * Called by every trap handler before the trap is reported, interrupts off. trapnr is the x86 vector, or on arm64
 * the exception class ESR_EL1[31:26] (BRK 0x3c, software step 0x32/0x33, watchpoint 0x34/0x35). Returns true when the
 * debugger took the trap and the guest is to resume with *regs; false when the stub is off or declines, and the
 * trap goes on to the crash report.
 */
bool gdb_stub_trap(struct __regs *regs, int trapnr);

/* Called on every timer tick of the boot CPU, interrupts off: the place to look for a received 0x03. */
void gdb_stub_poll(struct __regs *regs);

/*
 * Breaks into the debugger from C: the kernel calls it at boot when debug.gdbwait was given. It executes
 * int3 (x86) or brk #0 (arm64); the stub steps over its own instruction on resume.
 */
void gdb_stub_breakpoint(void);

/* Called by console_write() with what it writes; does nothing without debug.gdbconsole=1. */
void gdb_stub_console(const char *text, size_t len);

#endif
