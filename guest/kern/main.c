/* SPDX-License-Identifier: BSD-3-Clause */
/* From the loader to the application, and the life of the further CPUs. */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/san.h>
#include <guest/sections.h>
#include <guest/stub.h>
#include <guest/uart.h>
#include <uk/allocbbuddy.h>
#include <uk/assert.h>
#include <uk/lcpu.h>
#include <uk/sched.h>
#include <uk/trace.h>

#include "../app/app.h"

void kmain(__uptr loader_info);

static void banner(void) { printf("Powered by ukguest %s (%s)\n", UK_CODENAME, UK_FULLVERSION); }

void kmain(__uptr loader_info)
{
	const char *cmdline;
	struct uk_alloc *a;
	__uptr heap;
	struct uk_sched *s;

	arch_early_init(loader_info);
	cmdline = arch_cmdline();
	uk_print_init(cmdline);
	crash_init(cmdline);
	uk_trace_init(cmdline);
	heap = san_reserve((__uptr)_end, arch_ram_end());
	a = uk_allocbbuddy_init((void *)heap, arch_ram_end() - heap);
	if (!a)
		UK_CRASH("No memory for the heap\n");
	san_init(cmdline);
	gdb_stub_init(cmdline);
	if (cmdline_has(cmdline, "debug.gdbwait"))
		gdb_stub_breakpoint();

	s = uk_schedcoop_create(a);
	if (!s || uk_sched_start(s, "main"))
		UK_CRASH("No scheduler\n");
	lcpus[0].state = LCPU_STATE_BUSY;
	arch_irq_cpu_init();
	ukplat_lcpu_enable_irq();
	arch_smp_start();
	banner();
	uk_pr_info("%u CPU, %lu KiB heap, command line: %s\n", lcpu_count, (unsigned long)a->availmem(a) >> 10, cmdline);
	app_main(cmdline);
}

void lcpu_secondary_main(struct lcpu *self)
{
	struct uk_sched *s = uk_schedcoop_create(uk_alloc_get_default());
	static const char *const names[CONFIG_LCPU_MAXCOUNT] = { "cpu0", "cpu1", "cpu2", "cpu3" };

	if (!s || uk_sched_start(s, names[self->idx]))
		arch_halt();
	arch_irq_cpu_init();
	self->state = LCPU_STATE_BUSY;
	ukplat_lcpu_enable_irq();
	app_secondary(self);
	uk_sched_thread_exit();
}
