/* SPDX-License-Identifier: BSD-3-Clause */
/* Polled drivers of the 16550 (I/O ports or memory) and the PL011. */
#include <guest/uart.h>

enum { NS_DATA = 0, NS_LSR = 5, NS_LSR_DR = 1, NS_LSR_THRE = 0x20 };
enum { PL_DR = 0x00, PL_FR = 0x18, PL_FR_RXFE = 0x10, PL_FR_TXFF = 0x20 };

struct uart uart_console, uart_debug;

static unsigned int ns_read(const struct uart *u, unsigned int reg)
{
#ifdef __x86_64__
	if (u->kind == UART_NS16550_PIO) {
		__u8 v;

		__asm__ volatile("inb %w1, %b0" : "=a"(v) : "Nd"((__u16)(u->base + reg)));
		return v;
	}
#endif
	return *(volatile __u8 *)(u->base + reg);
}

static void ns_write(const struct uart *u, unsigned int reg, __u8 v)
{
#ifdef __x86_64__
	if (u->kind == UART_NS16550_PIO) {
		__asm__ volatile("outb %b0, %w1" ::"a"(v), "Nd"((__u16)(u->base + reg)));
		return;
	}
#endif
	*(volatile __u8 *)(u->base + reg) = v;
}

static volatile __u32 *pl_reg(const struct uart *u, unsigned int reg) { return (volatile __u32 *)(u->base + reg); }

void uart_putc(const struct uart *u, char c)
{
	switch (u->kind) {
	case UART_NONE:
		return;
	case UART_PL011:
		while (*pl_reg(u, PL_FR) & PL_FR_TXFF)
			;
		*pl_reg(u, PL_DR) = (__u8)c;
		return;
	case UART_NS16550_PIO:
	case UART_NS16550_MMIO:
		while (!(ns_read(u, NS_LSR) & NS_LSR_THRE))
			;
		ns_write(u, NS_DATA, (__u8)c);
	}
}

int uart_getc(const struct uart *u)
{
	switch (u->kind) {
	case UART_NONE:
		return -1;
	case UART_PL011:
		return *pl_reg(u, PL_FR) & PL_FR_RXFE ? -1 : (int)(*pl_reg(u, PL_DR) & 0xff);
	case UART_NS16550_PIO:
	case UART_NS16550_MMIO:
		return ns_read(u, NS_LSR) & NS_LSR_DR ? (int)ns_read(u, NS_DATA) : -1;
	}
	return -1;
}
