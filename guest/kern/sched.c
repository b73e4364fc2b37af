/* SPDX-License-Identifier: BSD-3-Clause */
/* The cooperative scheduler: one struct schedcoop per CPU; threads stay on the CPU that made them. */
#include <guest/arch.h>
#include <guest/string.h>
#include <uk/alloc.h>
#include <uk/assert.h>
#include <uk/lcpu.h>
#include <uk/sched.h>
#include <uk/trace.h>

UK_TRACEPOINT(sched_switch, "%s -> %s runnable=%u", const char *, const char *, unsigned int);
UK_TRACEPOINT(sched_wakeup, "%s thread=%p flags=%#x", const char *, void *, unsigned int);
UK_TRACEPOINT(sched_sleep, "%s for %ld ns", const char *, long);

struct uk_sched *uk_sched_head;
struct uk_thread *__uk_sched_thread_current[CONFIG_LCPU_MAXCOUNT];
static __spinlock sched_list_lock;

struct uk_thread *uk_thread_current(void) { return __uk_sched_thread_current[ukplat_lcpu_idx()]; }

static struct schedcoop *to_coop(struct uk_sched *s) { return (struct schedcoop *)s; }

/* Makes t runnable and queues it, unless it is queued already: QUEUEABLE says that it is not. The lock is held. */
static void set_runnable(struct schedcoop *c, struct uk_thread *t)
{
	if (t->flags & (UK_THREADF_RUNNABLE | UK_THREADF_EXITED))
		return;
	t->flags |= UK_THREADF_RUNNABLE;
	if (t->wakeup_time) {
		UK_TAILQ_REMOVE(&c->sleep_queue, t, queue);
		t->wakeup_time = 0;
	}
	if (t->flags & UK_THREADF_QUEUEABLE) {
		t->flags &= ~(__u32)UK_THREADF_QUEUEABLE;
		UK_TAILQ_INSERT_TAIL(&c->run_queue, t, queue);
	}
}

static void wake_sleepers(struct schedcoop *c, __nsec now)
{
	struct uk_thread *t = UK_TAILQ_FIRST(&c->sleep_queue), *next;

	for (; t; t = next) {
		next = UK_TAILQ_NEXT(t, queue);
		if ((__nsec)t->wakeup_time <= now)
			set_runnable(c, t);
	}
}

static struct uk_thread *pick_next(struct schedcoop *c)
{
	struct uk_thread *next = UK_TAILQ_FIRST(&c->run_queue);

	if (!next)
		return &c->idle;
	UK_TAILQ_REMOVE(&c->run_queue, next, queue);
	next->flags |= UK_THREADF_QUEUEABLE;
	return next;
}

static void schedcoop_yield(struct uk_sched *s)
{
	struct schedcoop *c = to_coop(s);
	unsigned long flags = ukplat_lcpu_save_irqf();
	struct uk_thread *prev = uk_thread_current(), *next;
	__nsec now = ukplat_monotonic_clock();

	ukarch_spin_lock(&c->lock);
	wake_sleepers(c, now);
	if (prev != &c->idle && (prev->flags & UK_THREADF_RUNNABLE) && (prev->flags & UK_THREADF_QUEUEABLE)) {
		prev->flags &= ~(__u32)UK_THREADF_QUEUEABLE;
		UK_TAILQ_INSERT_TAIL(&c->run_queue, prev, queue);
	}
	next = pick_next(c);
	prev->exec_time += now - c->ts_prev_switch;
	c->ts_prev_switch = now;
	__uk_sched_thread_current[ukplat_lcpu_idx()] = next;
	ukarch_spin_unlock(&c->lock);

	if (prev != next) {
		trace_sched_switch(prev->name, next->name, prev->flags & UK_THREADF_RUNNABLE);
		ukarch_ctx_switch(&prev->ctx, &next->ctx);
	}
	ukplat_lcpu_restore_irqf(flags);
}

static int schedcoop_thread_add(struct uk_sched *s, struct uk_thread *t)
{
	struct schedcoop *c = to_coop(s);
	unsigned long flags;

	t->sched = s;
	ukplat_spin_lock_irqsave(&c->lock, flags);
	UK_TAILQ_INSERT_TAIL(&s->thread_list, t, thread_list);
	t->flags |= UK_THREADF_QUEUEABLE;
	set_runnable(c, t);
	ukplat_spin_unlock_irqrestore(&c->lock, flags);
	return 0;
}

static void schedcoop_thread_remove(struct uk_sched *s, struct uk_thread *t)
{
	struct schedcoop *c = to_coop(s);
	unsigned long flags;

	ukplat_spin_lock_irqsave(&c->lock, flags);
	t->flags = (t->flags & ~(__u32)UK_THREADF_RUNNABLE) | UK_THREADF_EXITED;
	UK_TAILQ_REMOVE(&s->thread_list, t, thread_list);
	UK_TAILQ_INSERT_TAIL(&s->exited_threads, t, thread_list);
	ukplat_spin_unlock_irqrestore(&c->lock, flags);
}

static void schedcoop_thread_blocked(struct uk_sched *s, struct uk_thread *t)
{
	struct schedcoop *c = to_coop(s);
	unsigned long flags;

	ukplat_spin_lock_irqsave(&c->lock, flags);
	t->flags &= ~(__u32)UK_THREADF_RUNNABLE;
	if (t->wakeup_time)
		UK_TAILQ_INSERT_TAIL(&c->sleep_queue, t, queue);
	ukplat_spin_unlock_irqrestore(&c->lock, flags);
}

static void schedcoop_thread_woken(struct uk_sched *s, struct uk_thread *t)
{
	struct schedcoop *c = to_coop(s);
	unsigned long flags;

	ukplat_spin_lock_irqsave(&c->lock, flags);
	set_runnable(c, t);
	ukplat_spin_unlock_irqrestore(&c->lock, flags);
}

static __nsec next_wakeup(struct schedcoop *c, __nsec now)
{
	__nsec earliest = now + 1000000000 / CONFIG_TICK_HZ;
	const struct uk_thread *t;

	UK_TAILQ_FOREACH(t, &c->sleep_queue, queue)
		if ((__nsec)t->wakeup_time < earliest)
			earliest = (__nsec)t->wakeup_time;
	return earliest;
}

static void idle_main(void *arg)
{
	struct schedcoop *c = arg;

	ukplat_lcpu_disable_irq();
	for (;;) {
		__nsec now = ukplat_monotonic_clock();
		bool work;

		ukarch_spin_lock(&c->lock);
		wake_sleepers(c, now);
		work = !UK_TAILQ_EMPTY(&c->run_queue);
		c->idle_return_time = work ? 0 : next_wakeup(c, now);
		ukarch_spin_unlock(&c->lock);
		if (!work) {
			arch_timer_set(c->idle_return_time);
			arch_wait_irq();
		}
		schedcoop_yield(&c->sched);
	}
}

static const struct uk_thread *schedcoop_idle_thread(struct uk_sched *s, unsigned int proc_id)
{
	(void)proc_id;
	return &to_coop(s)->idle;
}

static int schedcoop_start(struct uk_sched *s, struct uk_thread *main)
{
	struct schedcoop *c = to_coop(s);
	struct lcpu *self = lcpu_current();

	main->flags |= UK_THREADF_RUNNABLE | UK_THREADF_QUEUEABLE;
	main->sched = s;
	UK_TAILQ_INSERT_TAIL(&s->thread_list, main, thread_list);
	c->ts_prev_switch = ukplat_monotonic_clock();
	self->sched = s;
	__uk_sched_thread_current[self->idx] = main;
	s->is_started = true;
	return 0;
}

/* A stack from the page allocator, its lowest page unmapped. Returns the lowest usable byte. */
static void *stack_alloc(struct uk_alloc *a)
{
	char *p = uk_palloc(a, 1UL << CONFIG_STACK_ORDER);

	if (!p)
		return NULL;
	arch_page_unmap((__vaddr_t)p);
	return p + PAGE_SIZE;
}

static int thread_init(struct uk_thread *t, struct uk_alloc *a, void (*fn)(void *), void *arg, const char *name)
{
	t->name = name;
	t->_mem.stack_a = a;
	t->_mem.stack = stack_alloc(a);
	if (!t->_mem.stack)
		return -12;
	ukarch_ctx_init(&t->ctx, (__uptr)t->_mem.stack + CONFIG_STACK_SIZE, fn, arg);
	return 0;
}

struct uk_sched *uk_schedcoop_create(struct uk_alloc *a)
{
	struct schedcoop *c = uk_calloc(a, 1, sizeof(*c));
	unsigned long flags;

	if (!c)
		return NULL;
	c->sched = (struct uk_sched){
		.yield = schedcoop_yield,
		.thread_add = schedcoop_thread_add,
		.thread_remove = schedcoop_thread_remove,
		.thread_blocked = schedcoop_thread_blocked,
		.thread_woken = schedcoop_thread_woken,
		.start = schedcoop_start,
		.idle_thread = schedcoop_idle_thread,
		.a = a,
		.a_stack = a,
		.a_uktls = a,
	};
	UK_TAILQ_INIT(&c->sched.thread_list);
	UK_TAILQ_INIT(&c->sched.exited_threads);
	UK_TAILQ_INIT(&c->run_queue);
	UK_TAILQ_INIT(&c->sleep_queue);
	if (thread_init(&c->idle, a, idle_main, c, "idle"))
		return NULL;
	c->idle.flags = UK_THREADF_RUNNABLE;
	c->idle.sched = &c->sched;
	UK_TAILQ_INSERT_TAIL(&c->sched.thread_list, &c->idle, thread_list);

	ukplat_spin_lock_irqsave(&sched_list_lock, flags);
	if (!uk_sched_head) {
		uk_sched_head = &c->sched;
	} else {
		struct uk_sched *s = uk_sched_head;

		while (s->next)
			s = s->next;
		s->next = &c->sched;
	}
	ukplat_spin_unlock_irqrestore(&sched_list_lock, flags);
	return &c->sched;
}

int uk_sched_start(struct uk_sched *s, const char *main_name)
{
	struct uk_thread *t = uk_calloc(s->a, 1, sizeof(*t));

	if (!t)
		return -12;
	t->name = main_name; /* runs on the boot stack: _mem.stack stays 0 */
	t->_mem.t_a = s->a;
	return s->start(s, t);
}

struct uk_thread *uk_sched_thread_create(struct uk_sched *s, void (*fn)(void *), void *arg, const char *name)
{
	struct uk_thread *t = uk_calloc(s->a, 1, sizeof(*t));

	if (!t || thread_init(t, s->a_stack, fn, arg, name))
		return NULL;
	t->_mem.t_a = s->a;
	s->thread_add(s, t);
	return t;
}

void uk_sched_yield(void)
{
	struct uk_sched *s = uk_thread_current()->sched;

	s->yield(s);
}

void uk_thread_block_until(struct uk_thread *t, __snsec until)
{
	t->wakeup_time = until;
	t->sched->thread_blocked(t->sched, t);
}

void uk_thread_wake(struct uk_thread *t)
{
	trace_sched_wakeup(t->name, t, t->flags);
	t->sched->thread_woken(t->sched, t);
}

void uk_sched_thread_sleep(__nsec nsec)
{
	struct uk_thread *t = uk_thread_current();
	unsigned long flags = ukplat_lcpu_save_irqf();

	trace_sched_sleep(t->name, (long)nsec);
	uk_thread_block_until(t, (__snsec)(ukplat_monotonic_clock() + nsec));
	uk_sched_yield();
	ukplat_lcpu_restore_irqf(flags);
}

void uk_sched_thread_exit(void)
{
	struct uk_thread *t = uk_thread_current();

	t->sched->thread_remove(t->sched, t);
	uk_sched_yield();
	UK_BUG();
	__builtin_unreachable();
}
