/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second serial port of QEMU's virt machine: a PCI 16550.
 *
 * Up to QEMU 9.1 virt has a second PL011 only in the secure world, where this
 * guest does not run, so the port is `-device pci-serial,chardev=…` (Red Hat
 * 1b36:0002, QEMU docs/specs/pci-ids.rst), a 16550 behind one 8-byte I/O BAR.
 * No firmware runs, so the BAR is placed here. Addresses are those of virt
 * (QEMU hw/arm/virt.c, base_memmap): configuration space at 0x3f000000 or, with
 * highmem, at 0x4010000000; I/O ports at 0x3eff0000.
 */
#include "stub.h"
#include "io.h"

#define ECAM_HIGH 0x4010000000ull
#define ECAM_LOW  0x3f000000ull
#define PORTS     0x3eff0000ull
#define BAR       0x1000u

#define HOST_BRIDGE 0x00081b36u
#define PCI_SERIAL  0x00021b36u

#define CFG_ID      0x00
#define CFG_COMMAND 0x04
#define CFG_BAR0    0x10

#define DATA 0
#define IER  1
#define FCR  2
#define LCR  3
#define MCR  4
#define LSR  5

#define LSR_DATA  0x01
#define LSR_EMPTY 0x20

static volatile uint8_t *uart;
