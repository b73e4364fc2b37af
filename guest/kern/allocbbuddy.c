/* SPDX-License-Identifier: BSD-3-Clause */
/* Binary buddy pages. A free chunk of 1 << level pages is aligned to its size within the first region's address space. */
#include <guest/san.h>
#include <guest/string.h>
#include <uk/allocbbuddy.h>
#include <uk/malloc.h>
#include <uk/spinlock.h>

static __spinlock buddy_lock;

static struct uk_bbpalloc *state(struct uk_alloc *a) { return (struct uk_bbpalloc *)a->priv; }

static struct uk_bbpalloc_memr *region_of(struct uk_bbpalloc *b, __uptr addr)
{
	struct uk_bbpalloc_memr *r = b->memr_head;

	while (r && (addr < r->first_page || addr >= r->first_page + (r->nr_pages << PAGE_SHIFT)))
		r = r->next;
	return r;
}

static bool page_allocated(const struct uk_bbpalloc_memr *r, __uptr addr)
{
	unsigned long i = (addr - r->first_page) >> PAGE_SHIFT;

	return r->mm_alloc_bitmap[i / 64] >> (i % 64) & 1;
}

static void bitmap_set(struct uk_bbpalloc_memr *r, __uptr addr, unsigned long pages, bool allocated)
{
	unsigned long i = (addr - r->first_page) >> PAGE_SHIFT;

	for (; pages; pages--, i++) {
		if (allocated)
			r->mm_alloc_bitmap[i / 64] |= 1UL << (i % 64);
		else
			r->mm_alloc_bitmap[i / 64] &= ~(1UL << (i % 64));
	}
}

static void list_insert(struct uk_bbpalloc *b, chunk_head_t *c, unsigned int level)
{
	c->level = level;
	c->next = b->free_head[level];
	c->pprev = &b->free_head[level];
	c->next->pprev = &c->next;
	b->free_head[level] = c;
}

static void list_remove(chunk_head_t *c)
{
	*c->pprev = c->next;
	c->next->pprev = c->pprev;
}

static inline bool list_empty(const struct uk_bbpalloc *b, unsigned int level)
{
	return b->free_head[level]->next == NULL;
}

static unsigned int level_of(unsigned long num_pages)
{
	unsigned int level = 0;

	while ((1UL << level) < num_pages)
		level++;
	return level;
}

void *bbuddy_palloc(struct uk_alloc *a, unsigned long num_pages)
{
	struct uk_bbpalloc *b = state(a);
	unsigned int want = level_of(num_pages), level;
	unsigned long flags;
	chunk_head_t *c = NULL;

	ukplat_spin_lock_irqsave(&buddy_lock, flags);
	for (level = want; level < FREELIST_SIZE && list_empty(b, level); level++)
		;
	if (level < FREELIST_SIZE) {
		c = b->free_head[level];
		list_remove(c);
		while (level > want) { /* give the upper halves back */
			level--;
			list_insert(b, (chunk_head_t *)((char *)c + (PAGE_SIZE << level)), level);
		}
		bitmap_set(region_of(b, (__uptr)c), (__uptr)c, 1UL << want, true);
		b->nr_free_pages -= 1UL << want;
	}
	ukplat_spin_unlock_irqrestore(&buddy_lock, flags);
	if (c)
		san_heap_alloc(c, PAGE_SIZE << want, PAGE_SIZE << want);
	return c;
}

/* The buddy of a free chunk, if that is a whole free chunk of the same level. */
static chunk_head_t *free_buddy(const struct uk_bbpalloc_memr *r, __uptr addr, unsigned int level)
{
	__uptr buddy = addr ^ (PAGE_SIZE << level);

	if (buddy < r->first_page || buddy + (PAGE_SIZE << level) > r->first_page + (r->nr_pages << PAGE_SHIFT))
		return NULL;
	if (page_allocated(r, buddy) || ((chunk_head_t *)buddy)->level != level)
		return NULL;
	return (chunk_head_t *)buddy;
}

static void give_back(struct uk_bbpalloc *b, struct uk_bbpalloc_memr *r, __uptr addr, unsigned int level)
{
	chunk_head_t *buddy;

	bitmap_set(r, addr, 1UL << level, false);
	b->nr_free_pages += 1UL << level;
	while (level + 1 < FREELIST_SIZE && (buddy = free_buddy(r, addr, level))) {
		list_remove(buddy);
		addr &= ~(PAGE_SIZE << level);
		level++;
	}
	list_insert(b, (chunk_head_t *)addr, level);
}

static void bbuddy_pfree(struct uk_alloc *a, void *obj, unsigned long num_pages)
{
	struct uk_bbpalloc *b = state(a);
	unsigned long flags;

	ukplat_spin_lock_irqsave(&buddy_lock, flags);
	give_back(b, region_of(b, (__uptr)obj), (__uptr)obj, level_of(num_pages));
	ukplat_spin_unlock_irqrestore(&buddy_lock, flags);
}

static __s64 bbuddy_pavailmem(struct uk_alloc *a) { return (__s64)state(a)->nr_free_pages; }
static __s64 bbuddy_availmem(struct uk_alloc *a) { return bbuddy_pavailmem(a) << PAGE_SHIFT; }

static int bbuddy_addmem(struct uk_alloc *a, void *base, size_t len)
{
	struct uk_bbpalloc *b = state(a);
	__uptr start = ALIGN_UP((__uptr)base, PAGE_SIZE), end = ALIGN_DOWN((__uptr)base + len, PAGE_SIZE);
	struct uk_bbpalloc_memr *r = (struct uk_bbpalloc_memr *)start;
	unsigned long pages = (end - start) >> PAGE_SHIFT, meta;

	meta = (sizeof(*r) + pages / 8 + 8 + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (end <= start || pages <= meta)
		return -22;
	r->mm_alloc_bitmap = (unsigned long *)(r + 1);
	r->mm_alloc_bitmap_size = (pages / 64 + 1) * sizeof(unsigned long);
	memset(r->mm_alloc_bitmap, 0xff, r->mm_alloc_bitmap_size);
	r->first_page = start + (meta << PAGE_SHIFT);
	r->nr_pages = pages - meta;
	r->next = b->memr_head;
	b->memr_head = r;

	for (__uptr p = r->first_page; p < end;) { /* the largest aligned chunk that fits, again and again */
		unsigned int level = (unsigned int)__builtin_ctzl(p >> PAGE_SHIFT);

		while (p + (PAGE_SIZE << level) > end)
			level--;
		bitmap_set(r, p, 1UL << level, false);
		b->nr_free_pages += 1UL << level;
		list_insert(b, (chunk_head_t *)p, level);
		p += PAGE_SIZE << level;
	}
	return 0;
}

struct uk_alloc *uk_allocbbuddy_init(void *base, size_t len)
{
	struct uk_alloc *a = (struct uk_alloc *)ALIGN_UP((__uptr)base, PAGE_SIZE);
	size_t meta = ALIGN_UP(sizeof(*a) + sizeof(struct uk_bbpalloc), PAGE_SIZE);
	struct uk_bbpalloc *b = state(a);

	if (len <= meta + PAGE_SIZE)
		return NULL;
	memset(a, 0, meta);
	for (unsigned int i = 0; i < FREELIST_SIZE; i++) {
		b->free_head[i] = &b->free_tail[i];
		b->free_tail[i].pprev = &b->free_head[i];
		b->free_tail[i].level = i;
	}
	a->malloc = uk_malloc_ifpages;
	a->calloc = uk_calloc_ifpages;
	a->realloc = uk_realloc_ifpages;
	a->free = uk_free_ifpages;
	a->palloc = bbuddy_palloc;
	a->pfree = bbuddy_pfree;
	a->availmem = bbuddy_availmem;
	a->pavailmem = bbuddy_pavailmem;
	a->addmem = bbuddy_addmem;
	if (bbuddy_addmem(a, (char *)a + meta, len - meta - ((__uptr)a - (__uptr)base)))
		return NULL;
	a->next = _uk_alloc_head;
	_uk_alloc_head = a;
	return a;
}
