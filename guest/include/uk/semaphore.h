/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UK_SEMAPHORE_H
#define UK_SEMAPHORE_H

#include <uk/wait.h>

struct uk_semaphore {
	long count;
	struct uk_waitq wait;
};

void uk_semaphore_init(struct uk_semaphore *s, long count);
void uk_semaphore_down(struct uk_semaphore *s);
void uk_semaphore_up(struct uk_semaphore *s);

#endif
