/* SPDX-License-Identifier: BSD-3-Clause */
/* How registers are printed, in both generations of crash reports. */
#include <guest/arch.h>
#include <guest/crash_arch.h>

#include "arm64.h"

void crash_dump_regs_a(const struct __regs *r)
{
	uk_pr_crit("\t SP       : 0x%016lx\n", r->sp);
	uk_pr_crit("\t ESR_EL1  : 0x%016lx\n", r->esr_el1);
	uk_pr_crit("\t ELR_EL1  : 0x%016lx\n", r->elr_el1);
	uk_pr_crit("\t LR (x30) : 0x%016lx\n", r->lr);
	uk_pr_crit("\t PSTATE   : 0x%016lx\n", r->spsr_el1);
	uk_pr_crit("\t FAR_EL1  : 0x%016lx\n", sysreg_read(far_el1));
	for (unsigned int i = 0; i < 28; i += 4)
		uk_pr_crit("\t x%02u ~ x%02u: 0x%016lx 0x%016lx 0x%016lx 0x%016lx\n", i, i + 3, r->x[i], r->x[i + 1],
			   r->x[i + 2], r->x[i + 3]);
	uk_pr_crit("\t x28 ~ x29: 0x%016lx 0x%016lx\n", r->x[28], r->x[29]);
}

void crash_dump_regs_c(const struct __regs *r)
{
	for (unsigned int i = 0; i < 30; i += 2)
		crash_line(" X%-2u: %016lx X%-2u: %016lx\n", i, r->x[i], i + 1, r->x[i + 1]);
	crash_line(" SP:      0x%016lx\n", r->sp);
	crash_line(" ESR_EL1: 0x%016lx\n", r->esr_el1);
	crash_line(" ELR_EL1: 0x%016lx\n", r->elr_el1);
	crash_line(" LR:      0x%016lx\n", r->lr);
	crash_line(" PSTATE:  0x%016lx\n", r->spsr_el1);
}

bool arch_frame_next(__vaddr_t fp, __vaddr_t *next, __vaddr_t *ret)
{
	const __u64 *f = (const __u64 *)fp;

	if (fp & 7 || !arch_mapped(fp, 16, false))
		return false;
	*next = f[0];
	*ret = f[1];
	return true;
}

void _uk_crash_from_code(void)
{
	if (crash_generation == CRASH_GEN_A)
		ukplat_terminate();
	_uk_crash_explicit = 1;
	__asm__ volatile(".inst 0x0000dead"); /* permanently undefined */
	__builtin_unreachable();
}
