/* SPDX-License-Identifier: BSD-3-Clause */
/* Stack of a thread that has not run: argument, entry, and the 0 that ends the frames. */
#include <uk/sched.h>

void _ctx_x86_clearregs(void);

void ukarch_ctx_init(struct ukarch_ctx *ctx, __uptr stack_top, void (*entry)(void *), void *arg)
{
	__u64 *sp = (__u64 *)ALIGN_DOWN(stack_top, 16) - 5;

	sp[0] = (__u64)arg;
	sp[1] = (__u64)entry;
	sp[2] = 0;
	ctx->ip = (__uptr)_ctx_x86_clearregs;
	ctx->sp = (__uptr)sp;
}
