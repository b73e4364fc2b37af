/* SPDX-License-Identifier: BSD-3-Clause */
/* acceptor and workers. */
#include <guest/arch.h>
#include <guest/string.h>
#include <uk/trace.h>

#include "app.h"

UK_TRACEPOINT(request_serve, "id=%lu path=%s fd=%d", unsigned long, const char *, int);
UK_TRACEPOINT(request_serve_ret, "id=%lu bytes=%lu took=%lu ns worker=%c", unsigned long, unsigned long, unsigned long,
	      char);
UK_TRACEPOINT(request_serve_err, "id=%lu error=%d", unsigned long, int);

struct server server = {
	.config = {
		.name = "ukguest demo server",
		.workers = WORKERS,
		.rate = 200,
		.listen = { .inet = { .addr = 0x0100007f, .port = 8080 } },
		.listen_kind = LISTEN_INET,
	},
	.handler = serve,
};

/* A client's next line: a few popular files, some rare ones, and now and then nonsense. */
static __noinline void next_line(unsigned long id, char *line, size_t size)
{
	static const char *const names[] = { "index.html", "style.css", "logo.png", "app.js", "feed.xml" };
	unsigned long r = id * 2654435761u >> 7;

	if (id % 97 == 96)
		snprintf(line, size, "BREW /pot-%lu", id);
	else if (r % 4)
		snprintf(line, size, "GET /%s HTTP/1.1", names[r % ARRAY_SIZE(names)]);
	else
		snprintf(line, size, "%s /archive/%lu.txt HTTP/1.1", r % 3 ? "GET" : "HEAD", r % 61);
}

static __noinline void accept_one(struct server *s, unsigned long id)
{
	struct request *r;
	char line[64];

	if (s->queue.depth >= QUEUE_MAX || !(r = request_new(id))) {
		s->stats.rejected++;
		return;
	}
	next_line(id, line, sizeof(line));
	s->stats.accepted++;
	request_parse(r, line);
	queue_put(&s->queue, r);
}

/* Clients come in bursts, so that workers meet at the cache's lock. */
void acceptor_main(void *arg)
{
	struct server *s = arg;

	for (unsigned long id = 1;; id++) {
		accept_one(s, id);
		if (id % BURST == 0)
			uk_sched_thread_sleep(BURST * 1000000000UL / s->config.rate);
	}
}

static inline void account(struct server *s, struct request *r, size_t bytes)
{
	s->stats.bytes_out += bytes;
	s->stats.load_change = (__s32)s->queue.depth - (__s32)s->queue.high_water;
	r->conn->bytes.out += bytes;
}

static __noinline size_t send_reply(struct server *s, struct request *r, size_t size)
{
	char head[96];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\nContent-Length: %lu\nETag: %08x\n\n", size, r->checksum);
	size_t total = (size_t)n + (r->flags.method == METHOD_HEAD ? 0 : size);

	r->checksum = checksum((const __u8 *)head, (size_t)n, r->checksum);
	account(s, r, total);
	return total;
}

static __noinline long handle_get(struct server *s, struct request *r)
{
	size_t size;

	fault_check(r);
	r->checksum = cache_get(r, &size);
	if (!size)
		return -2;
	return (long)send_reply(s, r, size);
}

__noinline int serve(struct server *s, struct request *r)
{
	long n;

	trace_request_serve(r->id, r->path, r->conn->fd);
	n = r->state == REQ_FAILED ? -22 : handle_get(s, r);
	if (n < 0) {
		r->state = REQ_FAILED;
		s->stats.failed++;
		trace_request_serve_err(r->id, (int)n);
		return (int)n;
	}
	r->state = REQ_DONE;
	s->stats.served++;
	trace_request_serve_ret(r->id, (unsigned long)n, ukplat_monotonic_clock() - r->accepted_at,
				uk_thread_current()->name[7]);
	return 0;
}

void worker_main(void *arg)
{
	unsigned long number = (unsigned long)arg;

	for (;;) {
		struct request *r = queue_get(&server.queue);

		server.current[number] = r;
		server.handler(&server, r);
		server.stats.by_worker[number]++;
		server.current[number] = NULL;
		if (!trouble_leaks())
			request_free(r);
	}
}
