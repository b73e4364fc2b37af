/* SPDX-License-Identifier: BSD-3-Clause */
/* What uktrace.c needs to know of this repository's guest. */
#ifndef UKTRACE_PORT_H
#define UKTRACE_PORT_H

#include <guest/arch.h>
#include <uk/lcpu.h>
#include <uk/sched.h>

static inline unsigned int uktrace_cpu(void) { return ukplat_lcpu_idx(); }
static inline uint64_t uktrace_now(void) { return ukplat_monotonic_clock(); }
static inline uint64_t uktrace_thread(void) { return (uint64_t)__uk_sched_thread_current[ukplat_lcpu_idx()]; }

/* The bounds of the stack that runs now; false if they are not known. In a trap it is another stack: the walk ends at once. */
static inline bool uktrace_stack(uintptr_t *low, uintptr_t *high)
{
	const struct uk_thread *t = __uk_sched_thread_current[ukplat_lcpu_idx()];

	if (!t || !t->_mem.stack)
		return false; /* the boot stack */
	*low = (uintptr_t)t->_mem.stack;
	*high = *low + CONFIG_STACK_SIZE;
	return true;
}

#endif
