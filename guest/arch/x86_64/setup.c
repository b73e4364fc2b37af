/* SPDX-License-Identifier: BSD-3-Clause */
/* What the loader says: command line and memory size (multiboot 1), number of CPUs (QEMU's fw_cfg). */
#include <guest/arch.h>
#include <guest/config.h>
#include <guest/string.h>
#include <guest/uart.h>

#include "x86.h"

struct multiboot_info {
	__u32 flags;
	__u32 mem_lower; /* KiB */
	__u32 mem_upper; /* KiB above 1 MiB */
	__u32 boot_device;
	__u32 cmdline;
} __packed;
#define MB_HAS_MEM 0x1
#define MB_HAS_CMDLINE 0x4

static char cmdline[512];
static __paddr_t ram_end = 16UL << 20;

static void ns16550_init(struct uart *u, __u16 port)
{
	outb(port + 7, 0x5a); /* scratch register: is there a UART at all? */
	if (inb(port + 7) != 0x5a)
		return;
	outb(port + 1, 0x00); /* no interrupts */
	outb(port + 3, 0x80); /* divisor 1: 115200 baud */
	outb(port + 0, 0x01);
	outb(port + 1, 0x00);
	outb(port + 3, 0x03); /* 8n1 */
	outb(port + 2, 0x07); /* FIFOs on and empty */
	outb(port + 4, 0x03); /* DTR, RTS */
	*u = (struct uart){ UART_NS16550_PIO, port };
}

void arch_early_init(__uptr loader_info)
{
	const struct multiboot_info *mb = (const struct multiboot_info *)loader_info;

	if (mb->flags & MB_HAS_CMDLINE)
		strlcpy(cmdline, (const char *)(__uptr)mb->cmdline, sizeof(cmdline));
	if (mb->flags & MB_HAS_MEM)
		ram_end = MIN((1UL << 20) + ((__paddr_t)mb->mem_upper << 10), CONFIG_RAM_MAX);
	x86_desc_init(&lcpus[0]);
	ns16550_init(&uart_console, 0x3f8);
	ns16550_init(&uart_debug, 0x2f8);
	x86_page_init(ram_end);
	x86_time_init();
}

const char *arch_cmdline(void) { return cmdline; }
__paddr_t arch_ram_end(void) { return ram_end; }

unsigned int x86_fw_cfg_cpus(void)
{
	static const char signature[] = { 'Q', 'E', 'M', 'U' };
	char got[4];
	__u32 n;

	outw(0x510, 0); /* the signature */
	for (unsigned int i = 0; i < sizeof(got); i++)
		got[i] = (char)inb(0x511);
	if (memcmp(got, signature, sizeof(got)))
		return 1;
	outw(0x510, 5); /* number of CPUs */
	n = inb(0x511);
	return n | (__u32)inb(0x511) << 8;
}
