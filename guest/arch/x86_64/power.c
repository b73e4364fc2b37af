/* SPDX-License-Identifier: BSD-3-Clause */
#include <guest/arch.h>

#include "x86.h"

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" ::: "memory");
}

void arch_poweroff(int status)
{
	outb(0x501, (__u8)status);  /* isa-debug-exit at its default port */
	outw(0x604, 0x2000);        /* ACPI off: PIIX4 (pc) and ICH9 (q35) under QEMU */
	outw(0xb004, 0x2000);
	arch_halt();
}
