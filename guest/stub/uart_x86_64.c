/* SPDX-License-Identifier: BSD-3-Clause */
/* COM2, a 16550 at port 0x2f8 (PC16550D data sheet, National, 1995). */
#include "stub.h"

#define COM2 0x2f8
#define DATA (COM2 + 0)
#define IER  (COM2 + 1)
#define FCR  (COM2 + 2)
#define LCR  (COM2 + 3)
#define MCR  (COM2 + 4)
#define LSR  (COM2 + 5)
#define SCR  (COM2 + 7)

#define LSR_DATA  0x01
#define LSR_EMPTY 0x20

static void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

int stub_uart_init(void)
{
	/* A port that is not there reads 0xff whatever was written. */
	outb(SCR, 0x5a);
	if (inb(SCR) != 0x5a)
		return -1;
	outb(IER, 0);
	outb(LCR, 0x80);
	outb(DATA, 1); /* 115,200 baud */
	outb(IER, 0);
	outb(LCR, 0x03); /* 8n1 */
	outb(FCR, 0x01);
	outb(MCR, 0x03); /* DTR, RTS */
	return 0;
}

void stub_uart_put(char c)
{
	while (!(inb(LSR) & LSR_EMPTY))
		__asm__ volatile("pause");
	outb(DATA, (uint8_t)c);
}

int stub_uart_poll(void)
{
	return inb(LSR) & LSR_DATA ? inb(DATA) : -1;
}

int stub_uart_get(void)
{
	int c;

	while ((c = stub_uart_poll()) < 0)
		__asm__ volatile("pause");
	return c;
}
