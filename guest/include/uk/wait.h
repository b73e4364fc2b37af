/* SPDX-License-Identifier: BSD-3-Clause */
/* Wait queues: the waiter's entry lives on its own stack. */
#ifndef UK_WAIT_H
#define UK_WAIT_H

#include <uk/sched.h>

struct uk_waitq_entry {
	int waiting;
	UK_STAILQ_ENTRY(struct uk_waitq_entry) thread_list;
	struct uk_thread *thread;
};

struct uk_waitq {
	__spinlock sl;
	UK_STAILQ_HEAD(uk_waitq_list, struct uk_waitq_entry) wait_list;
};

void uk_waitq_init(struct uk_waitq *wq);
/* Called with wq->sl held and interrupts off (flags says how they were): queues the caller, releases, blocks; returns unlocked. */
void uk_waitq_block(struct uk_waitq *wq, unsigned long flags);
/* Called with wq->sl held: wakes the first waiter and returns it, or NULL. */
struct uk_thread *uk_waitq_wake_one(struct uk_waitq *wq);

#endif
