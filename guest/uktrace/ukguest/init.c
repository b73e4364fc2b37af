/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's boot options for its rings, and their counters. */
#include <guest/cmdline.h>
#include <guest/string.h>
#include <uk/trace.h>

#include "bench.h"

/* trace=off: no records. tracebench: what a record costs. */
void uktrace_guest_init(const char *cmdline)
{
	char v[8];

	if (cmdline_has(cmdline, "tracebench"))
		uktrace_bench();
	if (cmdline_value(cmdline, "trace", v, sizeof(v)) && !strcmp(v, "off"))
		uktrace.on = 0;
}

/* A ring drops nothing: it overwrites, which only a reader can see. */
struct uktrace_totals uktrace_guest_totals(void)
{
	struct uktrace_totals s = { .dropped = uktrace.homeless };

	for (unsigned int i = 0; i < UKTRACE_CPUS; i++)
		s.written += __atomic_load_n(&uktrace_rings[i].seq, __ATOMIC_RELAXED);
	return s;
}
