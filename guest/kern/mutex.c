/* SPDX-License-Identifier: BSD-3-Clause */
#include <guest/arch.h>
#include <uk/assert.h>
#include <uk/mutex.h>
#include <uk/trace.h>

UK_TRACEPOINT(mutex_lock, "mutex=%p contended=%d", void *, int);
UK_TRACEPOINT(mutex_lock_ret, "mutex=%p owner=%s", void *, const char *);
UK_TRACEPOINT(mutex_unlock, "mutex=%p waiters=%c", void *, char);

void uk_mutex_init(struct uk_mutex *m)
{
	*m = (struct uk_mutex){ 0 };
	uk_waitq_init(&m->wait);
}

void uk_mutex_lock(struct uk_mutex *m)
{
	struct uk_thread *self = uk_thread_current();
	unsigned long flags;

	UK_ASSERT(m->owner != self);
	trace_mutex_lock(m, m->owner != NULL);
	ukplat_spin_lock_irqsave(&m->wait.sl, flags);
	if (!m->owner) {
		m->owner = self;
		m->lock_count = 1;
		ukplat_spin_unlock_irqrestore(&m->wait.sl, flags);
	} else {
		uk_waitq_block(&m->wait, flags); /* the unlocker makes us the owner */
	}
	trace_mutex_lock_ret(m, self->name);
}

void uk_mutex_unlock(struct uk_mutex *m)
{
	unsigned long flags;
	struct uk_waitq_entry *first;

	ukplat_spin_lock_irqsave(&m->wait.sl, flags);
	UK_ASSERT(m->owner == uk_thread_current());
	first = UK_STAILQ_FIRST(&m->wait.wait_list);
	m->owner = first ? first->thread : NULL;
	m->lock_count = first ? 1 : 0;
	uk_waitq_wake_one(&m->wait);
	ukplat_spin_unlock_irqrestore(&m->wait.sl, flags);
	trace_mutex_unlock(m, first ? 'y' : 'n');
}
