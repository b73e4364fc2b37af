/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocator front: records, sanitizer hooks, and the default allocator. */
#include <guest/san.h>
#include <guest/string.h>
#include <uk/alloc.h>
#include <uk/trace.h>

UK_TRACEPOINT(malloc, "size=%lu", unsigned long);
UK_TRACEPOINT(malloc_ret, "%p", void *);
UK_TRACEPOINT(malloc_err, "errno=%d", int);
UK_TRACEPOINT(free, "%p", void *);

struct uk_alloc *_uk_alloc_head;

/* Writes the record of how an allocation ended. */
static void *traced(void *p)
{
	if (p)
		trace_malloc_ret(p);
	else
		trace_malloc_err(12);
	return p;
}

void *uk_malloc(struct uk_alloc *a, size_t size)
{
	trace_malloc(size);
	return traced(a->malloc(a, size));
}

void *uk_calloc(struct uk_alloc *a, size_t n, size_t size)
{
	trace_malloc(n * size);
	return traced(a->calloc(a, n, size));
}

void uk_free(struct uk_alloc *a, void *p)
{
	trace_free(p);
	a->free(a, p);
}

void *uk_palloc(struct uk_alloc *a, unsigned long num_pages) { return a->palloc(a, num_pages); }

void uk_pfree(struct uk_alloc *a, void *obj, unsigned long num_pages) { a->pfree(a, obj, num_pages); }
