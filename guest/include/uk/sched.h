/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads and the cooperative scheduler. Names and fields are Unikraft's where debuggers look. */
#ifndef UK_SCHED_H
#define UK_SCHED_H

#include <guest/config.h>
#include <guest/types.h>
#include <uk/list.h>
#include <uk/spinlock.h>

struct uk_alloc;
struct uk_sched;
struct uk_thread;

/* A thread that does not run: where it goes on, with which stack. See ukarch_ctx_switch. */
struct ukarch_ctx {
	__uptr ip;
	__uptr sp;
};

struct ukarch_ectx;

#define UK_THREADF_ECTX 0x001
#define UK_THREADF_AUXSP 0x002
#define UK_THREADF_UKTLS 0x004
#define UK_THREADF_RUNNABLE 0x008
#define UK_THREADF_EXITED 0x010
#define UK_THREADF_QUEUEABLE 0x020

typedef void (*uk_thread_fn1_t)(void *arg) __attribute__((noreturn));
typedef void (*uk_thread_dtor_t)(struct uk_thread *t);

struct uk_thread {
	struct ukarch_ctx ctx;
	struct ukarch_ectx *ectx;
	__uptr tlsp;
	__uptr auxsp;
	void *uktlsp;

	UK_TAILQ_ENTRY(struct uk_thread) queue;
	__u32 flags;
	__snsec wakeup_time; /* 0: no timeout */
	struct uk_sched *sched;

	struct {
		struct uk_alloc *t_a;
		void *stack; /* lowest usable byte; the guard page is below */
		struct uk_alloc *stack_a;
		void *uktls;
		struct uk_alloc *uktls_a;
	} _mem;
	uk_thread_dtor_t dtor;
	void *priv;

	__nsec exec_time;
	const char *name;
	UK_TAILQ_ENTRY(struct uk_thread) thread_list;
};

UK_TAILQ_HEAD(uk_thread_list, struct uk_thread);

struct uk_sched {
	void (*yield)(struct uk_sched *s);
	int (*thread_add)(struct uk_sched *s, struct uk_thread *t);
	void (*thread_remove)(struct uk_sched *s, struct uk_thread *t);
	void (*thread_blocked)(struct uk_sched *s, struct uk_thread *t);
	void (*thread_woken)(struct uk_sched *s, struct uk_thread *t);
	int (*start)(struct uk_sched *s, struct uk_thread *main);
	const struct uk_thread *(*idle_thread)(struct uk_sched *s, unsigned int proc_id);

	bool is_started;
	struct uk_thread_list thread_list;
	struct uk_thread_list exited_threads;
	struct uk_alloc *a;
	struct uk_alloc *a_stack;
	struct uk_alloc *a_uktls;
	struct uk_sched *next;
};

struct schedcoop {
	struct uk_sched sched;
	struct uk_thread_list run_queue;
	struct uk_thread_list sleep_queue;
	struct uk_thread idle;
	__nsec idle_return_time;
	__nsec ts_prev_switch;
	__spinlock lock; /* other CPUs wake threads of this scheduler */
};

extern struct uk_sched *uk_sched_head;
extern struct uk_thread *__uk_sched_thread_current[CONFIG_LCPU_MAXCOUNT];

struct uk_thread *uk_thread_current(void);

struct uk_sched *uk_schedcoop_create(struct uk_alloc *a);
/* Turns the calling code into the thread `main_name` of this CPU and starts scheduling. */
int uk_sched_start(struct uk_sched *s, const char *main_name);
struct uk_thread *uk_sched_thread_create(struct uk_sched *s, void (*fn)(void *), void *arg, const char *name);
void uk_sched_yield(void);
void uk_sched_thread_sleep(__nsec nsec);
void uk_sched_thread_exit(void) __noreturn;
void uk_thread_block_until(struct uk_thread *t, __snsec until); /* until 0: till woken */
void uk_thread_wake(struct uk_thread *t);

/* Assembly, per architecture. */
void ukarch_ctx_switch(struct ukarch_ctx *store, struct ukarch_ctx *load);
void ukarch_ctx_init(struct ukarch_ctx *ctx, __uptr stack_top, void (*entry)(void *), void *arg);

#endif
