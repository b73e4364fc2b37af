/* SPDX-License-Identifier: BSD-3-Clause */
/* The console: one serial port, one lock, and a ring that keeps what was written last. */
#include <guest/config.h>
#include <guest/stub.h>
#include <guest/uart.h>
#include <uk/print.h>
#include <uk/spinlock.h>

static union {
	struct uk_console_ring ring;
	char room[sizeof(struct uk_console_ring) + CONFIG_CONSOLE_RING_SIZE];
} ring_memory = { .ring = { .size = CONFIG_CONSOLE_RING_SIZE } };

struct uk_console_ring *uk_console_ring = &ring_memory.ring;
static __spinlock console_lock;
static bool locks_busted;

void uk_print_bust_locks(void) { locks_busted = true; }

static inline void ring_put(struct uk_console_ring *r, char c)
{
	r->data[r->written++ % r->size] = c;
	if (c == '\n')
		r->lines++;
}

void console_write(const char *s, size_t n)
{
	const char *text = s;
	size_t len = n;
	bool locked = !locks_busted;
	unsigned long flags = ukplat_lcpu_save_irqf();

	if (locked)
		ukarch_spin_lock(&console_lock);
	for (; n; n--, s++) {
		if (*s == '\n') {
			ring_put(uk_console_ring, '\r');
			uart_putc(&uart_console, '\r');
		}
		ring_put(uk_console_ring, *s);
		uart_putc(&uart_console, *s);
	}
	if (locked)
		ukarch_spin_unlock(&console_lock);
	gdb_stub_console(text, len);
	ukplat_lcpu_restore_irqf(flags);
}

int printf(const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	console_write(buf, MIN((size_t)n, sizeof(buf) - 1));
	return n;
}
