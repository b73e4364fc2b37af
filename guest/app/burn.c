/* SPDX-License-Identifier: BSD-3-Clause */
/* Three functions that take 60, 30 and 10 % of the burner's time: ground truth for a profiler. */
#include "app.h"

volatile __u64 burn_result;

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
	burn_60();
	burn_30();
	burn_10();
}

void burn_main(void *arg)
{
	(void)arg;
	for (;;) {
		burn_round();
		uk_sched_yield();
	}
}
