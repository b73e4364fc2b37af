/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry of the stub: boot options, debug traps, the break on a received 0x03
 * and console text as O packets.
 *
 * A trap that finds the stub busy on this CPU (a breakpoint in code the stub
 * itself calls) is let pass, as in Unikraft. One on another CPU waits for its
 * turn; CPUs that do not trap run on, for the stub of Unikraft knows one CPU.
 */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/stub.h>
#include <guest/uart.h>
#include <uk/lcpu.h>

#include "stub.h"

#define SIGINT 2
#define SIGTRAP 5
#define BREAK_IN 0x03
#define NOBODY (-1)

static bool enabled;  /* some debug.gdb… option was given and the port is there */
static bool break_in; /* debug.gdbint=1 */
static bool console;  /* debug.gdbconsole=1 */
static int owner = NOBODY; /* the CPU inside the stub */

static bool option(const char *cmdline, const char *key)
{
	return cmdline_has(cmdline, key) && cmdline_number(cmdline, key, 1) != 0;
}

void gdb_stub_init(const char *cmdline)
{
	if (uart_debug.kind == UART_NONE)
		return;
	break_in = option(cmdline, "debug.gdbint");
	console = option(cmdline, "debug.gdbconsole");
	enabled = break_in || console || option(cmdline, "debug.gdbwait") || option(cmdline, "debug.gdb");
	stub_ignore_break_in(break_in);
}

void stub_put(char c)
{
	uart_putc(&uart_debug, c);
}

char stub_get(void)
{
	int c;

	while ((c = uart_getc(&uart_debug)) < 0)
		arch_relax();
	return (char)c;
}

/* False: this CPU is in the stub already. */
static bool enter(bool *waited)
{
	int self = (int)ukplat_lcpu_idx();

	*waited = false;
	for (;;) {
		int nobody = NOBODY;

		if (__atomic_compare_exchange_n(&owner, &nobody, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
		if (nobody == self)
			return false;
		*waited = true;
		arch_relax();
	}
}

static void leave(void)
{
	__atomic_store_n(&owner, NOBODY, __ATOMIC_RELEASE);
}

/* Returns whether the client let the guest go on; it may have gone mad. */
static bool stop(struct __regs *regs, int signal)
{
	struct stub_stop s = {regs, signal};
	enum stub_verdict v;

	stub_set_step(regs, 0);
	v = stub_listen(&s);
	if (v == STUB_STEP)
		stub_set_step(regs, 1);
	return v != STUB_GIVE_UP;
}

bool gdb_stub_trap(struct __regs *regs, int trapnr)
{
	bool waited, resumed;

	if (!enabled || !stub_is_debug_trap(trapnr))
		return false;
	if (!enter(&waited)) {
		stub_leave_breakpoint(regs, trapnr);
		return true;
	}
	resumed = (waited && stub_breakpoint_gone(regs, trapnr)) || stop(regs, SIGTRAP);
	if (resumed)
		stub_leave_breakpoint(regs, trapnr);
	leave();
	return resumed;
}

/* Bytes other than 0x03 are what a dead client left behind. */
void gdb_stub_poll(struct __regs *regs)
{
	bool waited;
	int c;

	if (!break_in || !enter(&waited))
		return;
	while ((c = uart_getc(&uart_debug)) >= 0) {
		if (c == BREAK_IN) {
			stop(regs, SIGINT);
			break;
		}
	}
	leave();
}

void gdb_stub_console(const char *text, size_t len)
{
	unsigned long flags;
	bool waited;

	if (!console || !stub_in_session())
		return;
	flags = ukplat_lcpu_save_irqf();
	if (enter(&waited)) {
		stub_send_console(text, len);
		leave();
	}
	ukplat_lcpu_restore_irqf(flags);
}
