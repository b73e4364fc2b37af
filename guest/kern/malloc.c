/* SPDX-License-Identifier: BSD-3-Clause */
/* malloc on whole pages: a header in front of each object says how many pages it took. */
#include <guest/san.h>
#include <guest/string.h>
#include <uk/malloc.h>

struct metadata_ifpages {
	size_t size;             /* asked for */
	unsigned long num_pages; /* taken */
	void *base;
	__u64 magic;
};
#define MALLOC_MAGIC 0x636f6c6c616d6b75ULL /* "ukmalloc" */
#define REDZONE 16

void *uk_malloc_ifpages(struct uk_alloc *a, size_t size)
{
	unsigned long pages = (sizeof(struct metadata_ifpages) + size + REDZONE + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct metadata_ifpages *m;

	if (!size || size > ((size_t)1 << 40))
		return NULL;
	m = a->palloc(a, pages);
	if (!m)
		return NULL;
	*m = (struct metadata_ifpages){ size, pages, m, MALLOC_MAGIC };
	san_heap_alloc(m + 1, size, (pages << PAGE_SHIFT) - sizeof(*m));
	return m + 1;
}

void *uk_calloc_ifpages(struct uk_alloc *a, size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	p = uk_malloc_ifpages(a, total);
	return p ? memset(p, 0, total) : NULL;
}

void *uk_realloc_ifpages(struct uk_alloc *a, void *p, size_t size)
{
	void *fresh = uk_malloc_ifpages(a, size);

	if (!p || !fresh)
		return fresh;
	memcpy(fresh, p, MIN(size, ((struct metadata_ifpages *)p - 1)->size));
	uk_free_ifpages(a, p);
	return fresh;
}

void uk_free_ifpages(struct uk_alloc *a, void *p)
{
	struct metadata_ifpages *m = (struct metadata_ifpages *)p - 1;

	if (!p)
		return;
	m->magic = 0;
	san_heap_free(p, (m->num_pages << PAGE_SHIFT) - sizeof(*m));
	a->pfree(a, m->base, m->num_pages);
}
