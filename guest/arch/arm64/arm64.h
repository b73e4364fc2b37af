/* SPDX-License-Identifier: BSD-3-Clause */
/* Instructions and tables shared by the files of arch/arm64. */
#ifndef GUEST_ARM64_H
#define GUEST_ARM64_H

#include <guest/regs.h>
#include <uk/lcpu.h>

#define sysreg_read(name)                                                                             \
	({                                                                                            \
		__u64 _v;                                                                             \
		__asm__ volatile("mrs %0, " #name : "=r"(_v)::"memory");                              \
		_v;                                                                                   \
	})
#define sysreg_write(name, v) __asm__ volatile("msr " #name ", %0" ::"r"((__u64)(v)) : "memory")
static inline void isb(void) { __asm__ volatile("isb" ::: "memory"); }
static inline void dsb(void) { __asm__ volatile("dsb ish" ::: "memory"); }

#define ESR_EC(esr) ((int)((esr) >> 26 & 0x3f))
#define EC_UNKNOWN 0x00
#define EC_IABORT 0x21
#define EC_DABORT 0x25
#define ESR_WNR (1UL << 6)

#define PTE_VALID 0x1ULL
#define PTE_TABLE 0x2ULL
#define PTE_PAGE 0x2ULL
#define PTE_DEVICE (0ULL << 2)
#define PTE_NORMAL (1ULL << 2)
#define PTE_RO (1ULL << 7)
#define PTE_INNER (3ULL << 8)
#define PTE_AF (1ULL << 10)
#define PTE_PXN (1ULL << 53)
#define PTE_UXN (1ULL << 54)
#define PTE_ADDR 0x0000fffffffff000ULL

struct machine {
	__paddr_t ram_start;
	__paddr_t ram_end; /* exclusive */
	__u64 pcie_ecam;
	__u64 pcie_io;    /* where the I/O port window is mapped */
	char bootargs[512];
};
extern struct machine machine;

void fdt_parse(const void *fdt); /* fills machine from a device tree; ignores what is none */
void arm64_page_init(void);
void arm64_time_init(void);
void arm64_gic_cpu_init(void);
bool arm64_pci_serial(__uptr *base);
void arm64_vectors_init(void);
void trap_el1_sync(struct __regs *regs);
void trap_el1_irq(struct __regs *regs);
void trap_el_invalid(struct __regs *regs, unsigned int el, unsigned int kind);
void secondary_entry(struct lcpu *self);

#endif
