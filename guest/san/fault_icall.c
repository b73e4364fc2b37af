/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=cfi san=icall: the same wrong call under clang's older check,
 * -fsanitize=cfi-icall, which wants the target inside the jump table of the
 * functions of its type. The trap is shared by a function's calls and carries
 * the kind of check (x86 ud1l 2(%eax),%eax; arm64 brk #0x5502), nothing more.
 */
#include "san.h"

struct command {
	int code;
};

typedef int runner(struct command *c);

static __noinline int run_start(struct command *c)
{
	return c->code + 1;
}

static __noinline int run_stop(struct command *c)
{
	return c->code - 1;
}

/* Takes its command by value. */
static __noinline long run_status(long code, long detail)
{
	return code * detail;
}

static runner *volatile runners[3];

static __noinline int command_run(struct command *c, int which)
{
	int n = runners[which](c);

	barrier();
	return n;
}

void fault_icall(void)
{
	struct command c = {8};
	volatile int n = 0;

	runners[0] = run_start;
	runners[1] = run_stop;
	runners[2] = (runner *)(__uptr)run_status;
	for (int i = 0; i < 3; i++)
		n += command_run(&c, i);
}
