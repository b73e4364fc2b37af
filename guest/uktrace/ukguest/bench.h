/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UKTRACE_BENCH_H
#define UKTRACE_BENCH_H

#include <guest/types.h>

#define BENCH_RECORDS 8192

void uktrace_bench(void);
/* One round of BENCH_RECORDS records to the plain buffer, emptied first; returns ticks. In a file of its own, as the two kinds of
 * tracepoints have headers of one name. */
__u64 plain_round(void);

/* The processor's own counter. */
static inline __u64 ticks(void)
{
#if defined(__x86_64__)
	__u32 low, high;

	__asm__ __volatile__("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (__u64)high << 32 | low;
#else
	__u64 v;

	__asm__ __volatile__("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
#endif
}

#endif
