/* SPDX-License-Identifier: BSD-3-Clause */
/* What the loader says, and the serial ports. */
#include <guest/arch.h>
#include <guest/sections.h>
#include <guest/uart.h>

#include "arm64.h"

#define PL011_BASE 0x09000000UL
#define DEFAULT_RAM 0x40000000UL

struct machine machine = { .ram_start = DEFAULT_RAM, .ram_end = DEFAULT_RAM + (16UL << 20) };

void arch_early_init(__uptr loader_info)
{
	__uptr base;

	sysreg_write(tpidr_el1, &lcpus[0]);
	lcpus[0].self = &lcpus[0];
	arm64_vectors_init();
	/* An ELF is started without any register set up; QEMU puts the device tree at the start of RAM. */
	fdt_parse((const void *)(loader_info ? loader_info : DEFAULT_RAM));
	arm64_time_init();
	arm64_page_init();
	uart_console = (struct uart){ UART_PL011, PL011_BASE };
	*(volatile __u32 *)(PL011_BASE + 0x30) = 0x301; /* enabled, transmit, receive */
	if (arm64_pci_serial(&base))
		uart_debug = (struct uart){ UART_NS16550_MMIO, base };
}

const char *arch_cmdline(void) { return machine.bootargs; }
__paddr_t arch_ram_end(void) { return machine.ram_end; }

struct lcpu *lcpu_current(void) { return (struct lcpu *)sysreg_read(tpidr_el1); }
