/* SPDX-License-Identifier: BSD-3-Clause */
/* Counter ticks to nanoseconds without a 128-bit division: ns = ticks * mult >> 32. */
#ifndef GUEST_MATHMUL_H
#define GUEST_MATHMUL_H

#include <guest/types.h>

static inline __u64 mul_shift32(__u64 ticks, __u64 mult)
{
	return (__u64)(((unsigned __int128)ticks * mult) >> 32);
}

/* hz below 2^32 * 1e9; exact to 1 in 2^32 for usual counter rates. */
static inline __u64 mult_from_hz(__u64 hz) { return (1000000000ULL << 32) / hz; }

#endif
