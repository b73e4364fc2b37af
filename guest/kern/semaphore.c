/* SPDX-License-Identifier: BSD-3-Clause */
#include <guest/arch.h>
#include <uk/semaphore.h>

void uk_semaphore_init(struct uk_semaphore *s, long count)
{
	s->count = count;
	uk_waitq_init(&s->wait);
}

void uk_semaphore_down(struct uk_semaphore *s)
{
	unsigned long flags;

	ukplat_spin_lock_irqsave(&s->wait.sl, flags);
	if (s->count > 0) {
		s->count--;
		ukplat_spin_unlock_irqrestore(&s->wait.sl, flags);
		return;
	}
	uk_waitq_block(&s->wait, flags); /* the count stays 0: the unit is handed over */
}

void uk_semaphore_up(struct uk_semaphore *s)
{
	unsigned long flags;

	ukplat_spin_lock_irqsave(&s->wait.sl, flags);
	if (!uk_waitq_wake_one(&s->wait))
		s->count++;
	ukplat_spin_unlock_irqrestore(&s->wait.sl, flags);
}
