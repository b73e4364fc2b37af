/* SPDX-License-Identifier: BSD-3-Clause */
/* malloc for an allocator that only has pages. */
#ifndef UK_MALLOC_H
#define UK_MALLOC_H

#include <uk/alloc.h>

void *uk_malloc_ifpages(struct uk_alloc *a, size_t size);
void *uk_calloc_ifpages(struct uk_alloc *a, size_t n, size_t size);
void *uk_realloc_ifpages(struct uk_alloc *a, void *p, size_t size);
void uk_free_ifpages(struct uk_alloc *a, void *p);

#endif
