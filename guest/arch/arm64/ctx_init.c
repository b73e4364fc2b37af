/* SPDX-License-Identifier: BSD-3-Clause */
/* Stack of a thread that has not run: entry, argument. */
#include <uk/sched.h>

void _ctx_arm_clearregs(void);

void ukarch_ctx_init(struct ukarch_ctx *ctx, __uptr stack_top, void (*entry)(void *), void *arg)
{
	__u64 *sp = (__u64 *)ALIGN_DOWN(stack_top, 16) - 2;

	sp[0] = (__u64)entry;
	sp[1] = (__u64)arg;
	ctx->ip = (__uptr)_ctx_arm_clearregs;
	ctx->sp = (__uptr)sp;
}
