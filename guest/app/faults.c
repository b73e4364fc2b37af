/* SPDX-License-Identifier: BSD-3-Clause */
/* Dying on demand: boot options fault=KIND and after=N (requests served before it). */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/san.h>
#include <guest/string.h>

#include "app.h"

static char fault_kind[12];
static unsigned long fault_after;

static __noinline void fault_assert(struct request *r)
{
	UK_ASSERT(r->state == REQ_DONE && "request must be done");
}

static __noinline void fault_crash(struct request *r) { UK_CRASH("Out of luck in request %lu\n", r->id); }

static __noinline void fault_null(struct request *r)
{
	r->conn = NULL;
	barrier();
	r->checksum = (__u32)r->conn->fd;
}

/* A read far outside of RAM. */
static __noinline void fault_pf(struct request *r)
{
	const volatile __u32 *p = (const volatile __u32 *)0x7fff12340000;

	r->checksum = p[r->flags.method];
}

static const char read_only_text[] = "this must not change";

/* A write to read-only data. */
static __noinline void fault_pfw(struct request *r)
{
	volatile char *p = (volatile char *)(__uptr)read_only_text;

	p[r->flags.method] = 'X';
}

/* A call through a function pointer that was overwritten. */
static __noinline void fault_jump(struct request *r)
{
	int (*volatile handler)(struct server *, struct request *) =
		(int (*)(struct server *, struct request *))0x6b6b6b6b6b68;

	r->checksum = (__u32)handler(&server, r);
	barrier();
}

/* x86: a non-canonical address is a general protection fault. arm64: a translation fault. */
static __noinline void fault_gp(struct request *r)
{
	r->checksum = *(const volatile __u32 *)0xdead4ead00000000;
}

static __noinline void fault_ud(struct request *r)
{
	(void)r;
#ifdef __x86_64__
	__asm__ volatile("ud2");
#else
	__asm__ volatile(".inst 0x00000000");
#endif
}

#ifdef __x86_64__
static __noinline void fault_div(struct request *r)
{
	volatile int zero = 0;

	r->checksum = (__u32)((int)r->id / zero);
}
#endif

static __noinline void fault_brk(struct request *r)
{
	(void)r;
#ifdef __x86_64__
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #1");
#endif
}

/* Recursion without end: each call keeps a buffer on the stack. */
static __noinline __u32 recurse(struct request *r, __u32 depth)
{
	volatile __u8 room[256];

	room[depth % sizeof(room)] = (__u8)depth;
	if (depth == 0xffffffff)
		return 0;
	return recurse(r, depth + 1) + room[depth % sizeof(room)];
}

static __noinline void fault_overflow(struct request *r) { r->checksum = recurse(r, 0); }

struct fault {
	const char *name;
	void (*commit)(struct request *r);
};

static const struct fault faults[] = {
	{ "assert", fault_assert }, { "crash", fault_crash }, { "null", fault_null },
	{ "pf", fault_pf },         { "pfw", fault_pfw },     { "jump", fault_jump },
	{ "gp", fault_gp },         { "ud", fault_ud },       { "brk", fault_brk },
	{ "overflow", fault_overflow },
#ifdef __x86_64__
	{ "div", fault_div },
#endif
};

void faults_init(const char *cmdline)
{
	if (!cmdline_value(cmdline, "fault", fault_kind, sizeof(fault_kind)) || !strcmp(fault_kind, "none"))
		fault_kind[0] = 0;
	fault_after = cmdline_number(cmdline, "after", 20);
}

static __noinline void commit_fault(struct request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(fault_kind, faults[i].name)) {
			faults[i].commit(r);
			goto survived;
		}
	fault_san(fault_kind);
survived:
	uk_pr_err("fault=%s: this image does not have it, or it had no effect\n", fault_kind);
	fault_kind[0] = 0;
}

__noinline void fault_check(struct request *r)
{
	if (likely(!fault_kind[0]) || server.stats.served < fault_after || uk_thread_current() != server.workers[1])
		return;
	commit_fault(r);
	barrier();
}
