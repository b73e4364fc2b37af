/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain buffer's side of the comparison: built with the guest's own uk/trace.h. */
#include <uk/trace.h>

#include "bench.h"

UK_TRACEPOINT(bench_plain, "id=%lu path=%s fd=%d", unsigned long, const char *, int);

__u64 plain_round(void)
{
	__u64 start;

	uk_trace_buffer_writep = uk_trace_buffer;
	uk_trace_buffer_free = sizeof(uk_trace_buffer);
	uk_trace_enabled = true;
	start = ticks();
	for (unsigned long i = 0; i < BENCH_RECORDS; i++)
		trace_bench_plain(i, "/archive/17.txt", 5);
	start = ticks() - start;
	uk_trace_enabled = false;
	return start;
}
