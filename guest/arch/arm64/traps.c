/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps: offered to the debugger, then reported. */
#include <guest/arch.h>
#include <guest/crash_arch.h>
#include <guest/san.h>
#include <guest/stub.h>
#include <guest/trapreport.h>

#include "arm64.h"

extern char vectors_el1[];

void arm64_vectors_init(void)
{
	sysreg_write(vbar_el1, vectors_el1);
	isb();
}

static bool is_abort(int ec) { return (ec & ~1) == (EC_IABORT & ~1) || (ec & ~1) == (EC_DABORT & ~1); }

static void report(struct __regs *regs, struct uk_crash_descr *d)
{
	if (crash_generation == CRASH_GEN_C)
		_uk_crash(regs, d);
	crash_dump_regs_a(regs);
	ukplat_crash();
}

void trap_el1_sync(struct __regs *regs)
{
	int ec = ESR_EC(regs->esr_el1);
	__vaddr_t far = is_abort(ec) ? sysreg_read(far_el1) : 0;
	struct uk_crash_descr d = { UK_CRASH_REASON_TRAP, -14, (unsigned long)ec, regs->esr_el1, 0 };

	if (gdb_stub_trap(regs, ec))
		return;
	uk_print_bust_locks();
	san_trap(regs, ec, regs->esr_el1, far);
	if (is_abort(ec)) {
		const char *access = (ec & ~1) == (EC_IABORT & ~1) ? "exec" : regs->esr_el1 & ESR_WNR ? "write" : "read";

		d = (struct uk_crash_descr){ UK_CRASH_REASON_PAGE_FAULT, -14, far, regs->esr_el1, 0 };
		trap_report_page_fault(far, access, regs->esr_el1);
	} else if (ec == EC_UNKNOWN && _uk_crash_explicit) {
		d.reason = UK_CRASH_REASON_EXPLICIT;
	}
	if (crash_generation == CRASH_GEN_A)
		uk_pr_crit("EL1 sync trap caught\n");
	report(regs, &d);
}

void trap_el_invalid(struct __regs *regs, unsigned int el, unsigned int kind)
{
	static const char *const kinds[] = { "Synchronous Abort", "IRQ", "FIQ", "Error" };
	struct uk_crash_descr d = { UK_CRASH_REASON_OTHER, -14, regs->esr_el1, 0, 0 };

	uk_print_bust_locks();
	uk_pr_crit("EL%u invalid %s trap caught\n", el, kinds[kind]);
	report(regs, &d);
}
