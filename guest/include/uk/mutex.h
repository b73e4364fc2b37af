/* SPDX-License-Identifier: BSD-3-Clause */
/* A mutex with an owner. Unlocking hands it to the first waiter. */
#ifndef UK_MUTEX_H
#define UK_MUTEX_H

#include <uk/wait.h>

struct uk_mutex {
	int lock_count;
	unsigned int flags;
	struct uk_thread *owner;
	struct uk_waitq wait;
};

void uk_mutex_init(struct uk_mutex *m);
void uk_mutex_lock(struct uk_mutex *m);
void uk_mutex_unlock(struct uk_mutex *m);

#endif
