/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and their queue. */
#include <guest/arch.h>
#include <guest/string.h>
#include <uk/trace.h>

#include "app.h"

UK_TRACEPOINT(request_parse, "id=%lu line=\"%s\"", unsigned long, const char *);
UK_TRACEPOINT(request_parse_ret, "id=%lu method=%u prio=%d", unsigned long, unsigned char, short);
UK_TRACEPOINT(request_parse_err, "id=%lu error=%d at '%c'", unsigned long, int, char);

void queue_init(struct request_queue *q)
{
	UK_TAILQ_INIT(&q->list);
	uk_mutex_init(&q->lock);
	uk_semaphore_init(&q->ready, 0);
}

void queue_put(struct request_queue *q, struct request *r)
{
	uk_mutex_lock(&q->lock);
	UK_TAILQ_INSERT_TAIL(&q->list, r, link);
	q->depth++;
	q->high_water = MAX(q->high_water, q->depth);
	uk_mutex_unlock(&q->lock);
	uk_semaphore_up(&q->ready);
}

struct request *queue_get(struct request_queue *q)
{
	struct request *r;

	uk_semaphore_down(&q->ready);
	uk_mutex_lock(&q->lock);
	r = UK_TAILQ_FIRST(&q->list);
	UK_TAILQ_REMOVE(&q->list, r, link);
	q->depth--;
	uk_mutex_unlock(&q->lock);
	return r;
}

struct request *request_new(unsigned long id)
{
	struct request *r = uk_calloc(uk_alloc_get_default(), 1, sizeof(*r) + sizeof(struct connection));

	if (!r)
		return NULL;
	r->id = id;
	r->conn = (struct connection *)(r + 1);
	r->conn->fd = (int)(id % 1000) + 3;
	r->conn->peer.addr = 0x0100007f; /* 127.0.0.1, as bytes in memory */
	r->conn->peer.port = (__u16)(40000 + id % 20000);
	r->accepted_at = ukplat_monotonic_clock();
	return r;
}

void request_free(struct request *r) { uk_free(uk_alloc_get_default(), r); }

/* FNV-1a */
static inline __u32 hash_byte(__u32 h, __u8 b) { return (h ^ b) * 16777619u; }

__noinline __u32 hash_path(const char *path)
{
	__u32 h = 2166136261u;

	while (*path)
		h = hash_byte(h, (__u8)*path++);
	return h;
}

static inline __u32 mix(__u32 a, __u8 b)
{
	a += b;
	a += a << 10;
	return a ^ a >> 6;
}

__noinline __u32 checksum(const __u8 *p, size_t n, __u32 seed)
{
	__u32 sum = seed;

	for (size_t i = 0; i < n; i++)
		sum = mix(sum, p[i]);
	return sum;
}

static inline enum method method_of(const char *word)
{
	switch (word[0]) {
	case 'G':
		return METHOD_GET;
	case 'H':
		return METHOD_HEAD;
	case 'P':
		return METHOD_PUT;
	}
	return (enum method)0;
}

static inline const char *skip_word(const char *p)
{
	while (*p && *p != ' ')
		p++;
	return *p ? p + 1 : p;
}

__noinline int request_parse(struct request *r, const char *line)
{
	const char *path = skip_word(line);
	size_t n = 0;

	trace_request_parse(r->id, line);
	r->flags.method = method_of(line);
	if (!r->flags.method || *path != '/') {
		r->state = REQ_FAILED;
		trace_request_parse_err(r->id, -22, line[0]);
		return -22;
	}
	while (path[n] && path[n] != ' ' && n + 1 < sizeof(r->path)) {
		r->path[n] = path[n];
		n++;
	}
	r->path[n] = 0;
	r->flags.keepalive = r->id % 3 != 0;
	r->flags.priority = (int)(r->id % 9) - 4;
	r->flags.version = 0x101;
	r->hash = hash_path(r->path);
	r->state = REQ_PARSED;
	trace_request_parse_ret(r->id, (unsigned char)r->flags.method, (short)r->flags.priority);
	return 0;
}
