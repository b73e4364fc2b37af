/* SPDX-License-Identifier: BSD-3-Clause */
/* What uktrace.c needs to know of Unikraft. */
#ifndef UKTRACE_PORT_H
#define UKTRACE_PORT_H

#include <uk/arch/limits.h>
#include <uk/config.h>
#include <uk/plat/lcpu.h>
#include <uk/plat/time.h>

#if CONFIG_OMIT_FRAMEPOINTER
#define UKTRACE_NO_FRAMES
#endif

static inline unsigned int uktrace_cpu(void) { return ukplat_lcpu_idx(); }
static inline uint64_t uktrace_now(void) { return ukplat_monotonic_clock(); }

#if CONFIG_LIBUKSCHED
#include <uk/sched.h>

static inline uint64_t uktrace_thread(void) { return (uint64_t)uk_thread_current(); }

/* The bounds of the stack that runs now; false if they are not known: before there are threads, and of a thread that brought its own. */
static inline bool uktrace_stack(uintptr_t *low, uintptr_t *high)
{
	const struct uk_thread *t = uk_thread_current();

	if (!t || !t->_mem.stack)
		return false;
	*low = (uintptr_t)t->_mem.stack;
	*high = *low + __STACK_SIZE;
	return true;
}
#else
static inline uint64_t uktrace_thread(void) { return 0; }
static inline bool uktrace_stack(uintptr_t *low, uintptr_t *high)
{
	(void)low, (void)high;
	return false;
}
#endif

#endif
