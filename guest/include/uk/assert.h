/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UK_ASSERT_H
#define UK_ASSERT_H

#include <uk/crash.h>

#define UK_ASSERT(x)                                                                                  \
	do {                                                                                          \
		if (unlikely(!(x)))                                                                   \
			UK_CRASH("Assertion failure: %s\n", #x);                                      \
	} while (0)

#define UK_BUG() UK_ASSERT(!(1))

#define UK_WARNIF(x)                                                                                  \
	do {                                                                                          \
		if (unlikely(x))                                                                      \
			uk_pr_warn("Condition warning: %s\n", #x);                                    \
	} while (0)

#endif
