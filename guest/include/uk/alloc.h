/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocators: a list of function tables with private state behind each. */
#ifndef UK_ALLOC_H
#define UK_ALLOC_H

#include <guest/types.h>

struct uk_alloc {
	void *(*malloc)(struct uk_alloc *a, size_t size);
	void *(*calloc)(struct uk_alloc *a, size_t n, size_t size);
	void *(*realloc)(struct uk_alloc *a, void *p, size_t size);
	void (*free)(struct uk_alloc *a, void *p);
	void *(*palloc)(struct uk_alloc *a, unsigned long num_pages);
	void (*pfree)(struct uk_alloc *a, void *obj, unsigned long num_pages);
	__s64 (*availmem)(struct uk_alloc *a);
	__s64 (*pavailmem)(struct uk_alloc *a);
	int (*addmem)(struct uk_alloc *a, void *base, size_t size);
	struct uk_alloc *next;
	__u8 priv[] __align(8);
};

extern struct uk_alloc *_uk_alloc_head;

static inline struct uk_alloc *uk_alloc_get_default(void) { return _uk_alloc_head; }

void *uk_malloc(struct uk_alloc *a, size_t size); /* NULL when there is no room */
void *uk_calloc(struct uk_alloc *a, size_t n, size_t size);
void uk_free(struct uk_alloc *a, void *p);
void *uk_palloc(struct uk_alloc *a, unsigned long num_pages);
void uk_pfree(struct uk_alloc *a, void *obj, unsigned long num_pages);

#endif
