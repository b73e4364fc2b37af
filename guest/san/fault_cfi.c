/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=cfi: a table of request handlers holds one of another type. Clang's
 * -fsanitize=kcfi compares the type word in front of the target before the
 * call and traps. san=icall: see fault_icall.c.
 */
#include <guest/string.h>

#include "san.h"

struct request {
	long length;
	const char *path;
};

typedef long handler(struct request *r);

static __noinline long handle_get(struct request *r)
{
	return r->length;
}

/* No handler: it takes two arguments of other types. */
static __noinline int handle_stat(unsigned int flags, unsigned int mask)
{
	return (int)(flags & mask);
}

static handler *volatile handlers[2];

static __noinline long request_call(struct request *r, int verb)
{
	long n = handlers[verb](r);

	barrier();
	return n;
}

static __noinline long request_dispatch(struct request *r)
{
	long n = request_call(r, 0);

	n += request_call(r, 1);
	barrier();
	return n;
}

void fault_cfi(void)
{
	struct request r = {8, "/"};
	volatile long n;

	if (!strcmp(san_flavour, "icall")) {
		fault_icall();
		return;
	}
	handlers[0] = handle_get;
	handlers[1] = (handler *)(__uptr)handle_stat;
	n = request_dispatch(&r);
	(void)n;
}
