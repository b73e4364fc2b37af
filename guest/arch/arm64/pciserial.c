/* SPDX-License-Identifier: BSD-3-Clause */
/* The second serial port: QEMU's pci-serial, a 16550 in an I/O port BAR of bus 0. */
#include <guest/arch.h>

#include "arm64.h"

#define PCI_ID_SERIAL 0x00021b36u /* device 0002, vendor 1b36 */
#define PCI_COMMAND 0x04
#define PCI_BAR0 0x10
#define COMMAND_IO 0x1
#define PORT 0x1000

static volatile __u32 *config(unsigned int device, unsigned int reg)
{
	return (volatile __u32 *)(machine.pcie_ecam + (device << 15) + reg);
}

bool arm64_pci_serial(__uptr *base)
{
	volatile __u8 *u;

	if (!machine.pcie_ecam || !machine.pcie_io)
		return false;
	for (unsigned int device = 0; device < 32; device++) {
		if (*config(device, 0) != PCI_ID_SERIAL)
			continue;
		*config(device, PCI_BAR0) = PORT;
		*config(device, PCI_COMMAND) |= COMMAND_IO;
		*base = machine.pcie_io + PORT;
		u = (volatile __u8 *)*base;
		u[1] = 0x00; /* no interrupts */
		u[3] = 0x80; /* divisor 1: 115200 baud */
		u[0] = 0x01;
		u[1] = 0x00;
		u[3] = 0x03; /* 8n1 */
		u[2] = 0x07; /* FIFOs on and empty */
		u[4] = 0x03;
		return true;
	}
	return false;
}
