/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps: offered to the debugger, then reported. */
#include <guest/crash_arch.h>
#include <guest/san.h>
#include <guest/stub.h>
#include <guest/trapreport.h>

#include "x86.h"

static const char *const trap_names[] = {
	[0] = "divide error",   [1] = "debug",           [2] = "NMI",
	[3] = "int3",           [4] = "overflow",        [5] = "bounds",
	[6] = "invalid opcode", [7] = "device not available", [8] = "double fault",
	[10] = "invalid TSS",   [11] = "segment not present", [12] = "stack segment",
	[13] = "general protection", [14] = "page fault", [16] = "coprocessor",
	[17] = "alignment check", [18] = "machine check", [19] = "SIMD coprocessor",
	[20] = "virtualization error", [21] = "control protection",
};

static void report_a(const struct __regs *regs, int vector)
{
	if (vector == X86_PF) {
		crash_dump_regs_a(regs);
		crash_dump_stack_a(regs);
	} else {
		uk_pr_crit("Unhandled Trap %d (%s), error code=%#lx\n", vector, trap_names[vector], regs->orig_rax);
		uk_pr_info("Regs address %p\n", (const void *)regs);
		crash_dump_regs_a(regs);
	}
	uk_pr_crit("Crashing\n");
}

void x86_trap(struct __regs *regs, int vector)
{
	__vaddr_t addr = vector == X86_PF ? read_cr2() : 0;
	struct uk_crash_descr d = { UK_CRASH_REASON_TRAP, -14, (unsigned long)vector, regs->orig_rax, 0 };

	if (gdb_stub_trap(regs, vector))
		return;
	uk_print_bust_locks();
	san_trap(regs, vector, regs->orig_rax, addr);
	if (vector == X86_PF) {
		d = (struct uk_crash_descr){ UK_CRASH_REASON_PAGE_FAULT, -14, addr, regs->orig_rax, 0 };
		trap_report_page_fault(addr,
				       regs->orig_rax & PF_EXEC    ? "exec"
				       : regs->orig_rax & PF_WRITE ? "write"
								   : "read",
				       regs->orig_rax);
	} else if (vector == 6 && _uk_crash_explicit) {
		d.reason = UK_CRASH_REASON_EXPLICIT;
	}
	if (crash_generation == CRASH_GEN_C)
		_uk_crash(regs, &d);
	report_a(regs, vector);
	ukplat_crash();
}
