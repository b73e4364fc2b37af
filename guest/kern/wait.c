/* SPDX-License-Identifier: BSD-3-Clause */
#include <guest/arch.h>
#include <uk/wait.h>

void uk_waitq_init(struct uk_waitq *wq)
{
	wq->sl.lock = 0;
	UK_STAILQ_INIT(&wq->wait_list);
}

void uk_waitq_block(struct uk_waitq *wq, unsigned long flags)
{
	struct uk_waitq_entry e = { .waiting = 1, .thread = uk_thread_current() };

	UK_STAILQ_INSERT_TAIL(&wq->wait_list, &e, thread_list);
	uk_thread_block_until(e.thread, 0);
	ukarch_spin_unlock(&wq->sl);
	while (__atomic_load_n(&e.waiting, __ATOMIC_ACQUIRE))
		uk_sched_yield();
	ukplat_lcpu_restore_irqf(flags);
}

struct uk_thread *uk_waitq_wake_one(struct uk_waitq *wq)
{
	struct uk_waitq_entry *e = UK_STAILQ_FIRST(&wq->wait_list);
	struct uk_thread *t;

	if (!e)
		return NULL;
	t = e->thread;
	UK_STAILQ_REMOVE_HEAD(&wq->wait_list, thread_list);
	__atomic_store_n(&e->waiting, 0, __ATOMIC_RELEASE); /* from here on the entry may be gone */
	uk_thread_wake(t);
	return t;
}
