/* SPDX-License-Identifier: BSD-3-Clause */
/* A cache of files: one lock, held over the disk read of a miss, so that workers wait for one another. */
#include <guest/string.h>
#include <uk/trace.h>

#include "app.h"

UK_TRACEPOINT(cache_hit, "%s hash=%08x hits=%u", const char *, unsigned int, unsigned short);
UK_TRACEPOINT(cache_miss, "%s hash=%#010x", const char *, unsigned int);

struct cache cache;

void cache_init(void) { uk_mutex_init(&cache.lock); }

static inline struct cache_entry **bucket_of(__u32 hash) { return &cache.buckets[hash % CACHE_BUCKETS]; }

static struct cache_entry *cache_find(__u32 hash, const char *path)
{
	struct cache_entry *e = *bucket_of(hash);

	while (e && (e->hash != hash || strcmp(e->path, path)))
		e = e->next;
	return e;
}

/* Drops the last entry of the fullest bucket from `start` on. */
static __noinline void cache_evict(__u32 start)
{
	struct cache_entry **p;

	while (!*(p = bucket_of(start)))
		start++;
	while ((*p)->next)
		p = &(*p)->next;
	uk_free(uk_alloc_get_default(), *p);
	*p = NULL;
	cache.entries--;
	cache.evictions++;
}

static __noinline int cache_read(struct file *f, struct cache_entry *e)
{
	while (e->size < f->size) {
		long n = vfs_read(f, e->data + e->size, BLOCK_SIZE);

		if (n <= 0)
			return (int)n;
		e->size += (size_t)n;
	}
	return 0;
}

static __noinline struct cache_entry *cache_fill(const struct request *r)
{
	struct cache_entry *e;
	struct file f = { 0 };

	trace_cache_miss(r->path, r->hash);
	cache.misses++;
	if (vfs_open(r->path, 0, 0644, &f))
		return NULL;
	e = uk_calloc(uk_alloc_get_default(), 1, sizeof(*e) + f.size);
	if (e) {
		e->hash = r->hash;
		strlcpy(e->path, r->path, sizeof(e->path));
		cache_read(&f, e);
		e->next = *bucket_of(r->hash);
		*bucket_of(r->hash) = e;
		cache.entries++;
	}
	vfs_close(&f);
	if (cache.entries > CACHE_MAX_ENTRIES)
		cache_evict(r->hash + 1);
	return e;
}

__u32 cache_get(struct request *r, size_t *size)
{
	struct cache_entry *e;
	__u32 sum = 0;

	*size = 0;
	uk_mutex_lock(&cache.lock);
	e = cache_find(r->hash, r->path);
	if (e) {
		e->hits++;
		cache.hits++;
		trace_cache_hit(r->path, r->hash, (unsigned short)e->hits);
	} else {
		r->state = REQ_WAITING;
		e = cache_fill(r);
	}
	if (e) {
		sum = checksum(e->data, e->size, r->hash);
		*size = e->size;
	}
	uk_mutex_unlock(&cache.lock);
	return sum;
}
