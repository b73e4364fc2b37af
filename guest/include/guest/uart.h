/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The serial ports, polled. Port 0 is the console, port 1 belongs to the in-image GDB stub.
 *   x86_64: COM1 0x3f8 and COM2 0x2f8 (16550 behind I/O ports).
 *   arm64:  PL011 at 0x09000000, and a 16550 on PCIe: start QEMU with "-device pci-serial,chardev=ID".
 *           (The virt machine's own second PL011 is secure-world only in QEMU 7.2.)
 */
#ifndef GUEST_UART_H
#define GUEST_UART_H

#include <guest/types.h>

enum uart_kind { UART_NONE, UART_NS16550_PIO, UART_NS16550_MMIO, UART_PL011 };

struct uart {
	enum uart_kind kind;
	__uptr base;
};

extern struct uart uart_console; /* always there */
extern struct uart uart_debug;   /* kind == UART_NONE when the machine has no second port */

/* Both ports are usable once arch_early_init() has returned. Callers bring their own lock. */
void uart_putc(const struct uart *u, char c); /* waits for room in the transmitter */
int uart_getc(const struct uart *u);          /* 0..255, or -1 when nothing has arrived */

#endif
