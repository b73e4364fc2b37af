/* Calls of every kind a resolver must tell: nested inlining, a header's inline
 * function, a cold path split off, static functions, recursion, a loop. */
#include "sub/util.h"

struct request { int id, flags; char name[16]; struct request *next; };
volatile int sink;
int counters[8];

__attribute__((noinline, cold)) static void give_up(int code)
{
	sink = code;
	__builtin_trap();
}

static inline int twice(int x) { return add(x, x); }
static inline int four(int x) { return twice(twice(x)); }

__attribute__((noinline)) int parse(struct request *r, const char *text)
{
	int n = 0;
	while (*text) {
		if (*text < ' ') {
			sink = n;
			give_up(*text);
		}
		n = add(n, four(*text++));
	}
	r->id = n;
	return clamp(n, 0, 1000);
}

__attribute__((noinline)) int depth(int n)
{
	if (n <= 0)
		return sink;
	return depth(n - 1) + counters[n & 7];
}

static int handler_a(int x) { return four(x) + 1; }
static int handler_b(int x) { return x > 100 ? depth(x & 15) : twice(x); }
int (*const handlers[])(int) = { handler_a, handler_b };

__attribute__((noinline)) int serve(struct request *list)
{
	int total = 0;
	for (struct request *r = list; r; r = r->next) {
		char buf[64];
		for (unsigned i = 0; i < sizeof(buf); i++)
			buf[i] = r->name[i & 15];
		buf[63] = 0;
		total += parse(r, buf);
		total += handlers[r->flags & 1](total);
	}
	return total;
}

void _start(void)
{
	struct request r = { 1, 2, "hello", 0 };
	sink = serve(&r);
	for (;;)
		sink = helper_in_other_unit(sink);
}
