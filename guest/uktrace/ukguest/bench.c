/* SPDX-License-Identifier: BSD-3-Clause */
/* Boot option tracebench: what a record costs in the plain buffer and in a ring, in turn, on the console. */
#include <guest/arch.h>
#include <uk/print.h>
#include <uk/trace.h>

#include "bench.h"

#define ROUNDS 21

UK_TRACEPOINT(bench_ring, "id=%lu path=%s fd=%d", unsigned long, const char *, int);

static __u64 ring_round(void)
{
	__u64 start = ticks();

	for (unsigned long i = 0; i < BENCH_RECORDS; i++)
		trace_bench_ring(i, "/archive/17.txt", 5);
	return ticks() - start;
}

static void sort(__u64 *v)
{
	for (int i = 1; i < ROUNDS; i++)
		for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {
			__u64 t = v[j];

			v[j] = v[j - 1];
			v[j - 1] = t;
		}
}

/* Tenths of a tick per record: the median round, the fastest and the slowest. */
static void line(const char *what, __u64 *v)
{
	sort(v);
	printf("uktrace bench: %s %lu (%lu-%lu) tenths of a tick a record\n", what, v[ROUNDS / 2] * 10 / BENCH_RECORDS,
	       v[0] * 10 / BENCH_RECORDS, v[ROUNDS - 1] * 10 / BENCH_RECORDS);
}

void uktrace_bench(void)
{
	static __u64 plain[ROUNDS], ring[ROUNDS], off[ROUNDS];
	__u64 t = ticks(), ns = ukplat_monotonic_clock();

	for (int i = 0; i < ROUNDS; i++) {
		plain[i] = plain_round();
		ring[i] = ring_round();
		uktrace_point_bench_ring.enabled = 0;
		off[i] = ring_round();
		uktrace_point_bench_ring.enabled = 1;
	}
	t = ticks() - t;
	ns = ukplat_monotonic_clock() - ns;
	line("plain", plain);
	line("ring", ring);
	line("disabled", off);
	printf("uktrace bench: %lu ticks in %lu ns\n", t, ns);
}
