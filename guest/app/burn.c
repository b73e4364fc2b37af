/* SPDX-License-Identifier: BSD-3-Clause */
/* Three functions that take 60, 30 and 10 % of the burner's time: ground truth for a profiler. */
#include <guest/arch.h>

#include "app.h"

volatile __u64 burn_result;
/* What the burner did by its own account: rounds, and the nanoseconds that burn_60, burn_30 and burn_10 took. */
volatile __u64 burn_rounds;
volatile __nsec burn_time[3];

#define BURN(name, rounds)                                                                            \
	static __noinline void name(void)                                                             \
	{                                                                                             \
		__u64 x = burn_result | 1;                                                            \
		for (unsigned int i = 0; i < (rounds); i++)                                           \
			x = x * 6364136223846793005ULL + 1442695040888963407ULL;                      \
		burn_result = x;                                                                      \
	}

BURN(burn_60, 60000)
BURN(burn_30, 30000)
BURN(burn_10, 10000)

static __noinline void burn_round(void)
{
	__nsec start = ukplat_monotonic_clock(), after_60, after_30;

	burn_60();
	after_60 = ukplat_monotonic_clock();
	burn_30();
	after_30 = ukplat_monotonic_clock();
	burn_10();
	burn_time[0] += after_60 - start;
	burn_time[1] += after_30 - after_60;
	burn_time[2] += ukplat_monotonic_clock() - after_30;
	burn_rounds++;
}

void burn_main(void *arg)
{
	(void)arg;
	for (;;) {
		burn_round();
		uk_sched_yield();
	}
}
