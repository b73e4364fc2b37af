/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns the address of a page fault: a stack's guard page, or nobody. */
#define __LIBNAME__ "libukvmem"
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/string.h>
#include <guest/trapreport.h>
#include <uk/print.h>
#include <uk/sched.h>

static bool reports_off(void)
{
	char v[8];

	return cmdline_value(arch_cmdline(), "vmem", v, sizeof(v)) && !strcmp(v, "off");
}

static const struct uk_thread *guard_of(__vaddr_t addr)
{
	const struct uk_sched *s = uk_sched_head;
	const struct uk_thread *t;

	for (; s; s = s->next)
		UK_TAILQ_FOREACH(t, &s->thread_list, thread_list)
			if (t->_mem.stack && ALIGN_DOWN(addr, PAGE_SIZE) == (__uptr)t->_mem.stack - PAGE_SIZE)
				return t;
	return NULL;
}

void trap_report_page_fault(__vaddr_t addr, const char *access, unsigned long code)
{
	const struct uk_thread *t = guard_of(addr);

	if (reports_off())
		return;
	if (t)
		uk_pr_crit("Guard page %#lx of stack VMA %#lx - %#lx hit!\n", ALIGN_DOWN(addr, PAGE_SIZE),
			   (__uptr)t->_mem.stack - PAGE_SIZE, (__uptr)t->_mem.stack + CONFIG_STACK_SIZE);
	uk_pr_crit("Cannot handle %s page fault at 0x%lx (ec: 0x%lx): Bad address (14).\n", access, addr, code);
}
