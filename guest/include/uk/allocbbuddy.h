/* SPDX-License-Identifier: BSD-3-Clause */
/* The binary buddy page allocator. Its state sits in uk_alloc.priv. */
#ifndef UK_ALLOCBBUDDY_H
#define UK_ALLOCBBUDDY_H

#include <uk/alloc.h>

#define FREELIST_SIZE 52

typedef struct chunk_head_st chunk_head_t;

/* At the start of a free chunk. A list ends at the element whose next is NULL: that is free_tail[level], no chunk. */
struct chunk_head_st {
	chunk_head_t *next;
	chunk_head_t **pprev;
	unsigned int level; /* the chunk has 1 << level pages */
};

struct uk_bbpalloc_memr {
	struct uk_bbpalloc_memr *next;
	__uptr first_page; /* address */
	unsigned long nr_pages;
	unsigned long mm_alloc_bitmap_size; /* bytes */
	unsigned long *mm_alloc_bitmap;     /* bit set: page allocated */
};

struct uk_bbpalloc {
	unsigned long nr_free_pages;
	chunk_head_t *free_head[FREELIST_SIZE];
	chunk_head_t free_tail[FREELIST_SIZE];
	struct uk_bbpalloc_memr *memr_head;
};

/* Puts an allocator into the first pages of [base, base+len) and makes the rest its memory. */
struct uk_alloc *uk_allocbbuddy_init(void *base, size_t len);
void *bbuddy_palloc(struct uk_alloc *a, unsigned long num_pages);

#endif
