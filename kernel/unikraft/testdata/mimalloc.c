/* mimalloc's own code, given out as lib-mimalloc's allocator, in a program that stops where it can be looked at. */
#define _GNU_SOURCE
#include <mimalloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct uk_alloc {
	void *malloc, *palloc, *malloc_backend;
	struct uk_alloc *next;
	void *priv[1];
};
void *uk_mimalloc_malloc(void) { return 0; }
static struct uk_alloc allocator = { .malloc = uk_mimalloc_malloc, .malloc_backend = uk_mimalloc_malloc };
struct uk_alloc *_uk_alloc_head = &allocator;

enum { LIVE = 4000 };
static void *live[LIVE];

/* Frees every fourth object of another thread's. */
static void *elsewhere(void *arg)
{
	for (int i = 0; i < LIVE; i += 4) {
		mi_free(live[i]);
		live[i] = 0;
	}
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	unsigned long random = 12345, sum = 0;
	pthread_t t;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < LIVE; i++) {
			random = random * 6364136223846793005ul + 1442695040888963407ul;
			if (live[i] && random >> 61)
				continue;
			mi_free(live[i]);
			live[i] = mi_malloc((random >> 40) % (i % 100 ? 700 : 200000) + 1);
			memset(live[i], 0xa5, 1);
		}
	}
	pthread_create(&t, 0, elsewhere, 0);
	pthread_join(t, 0);
	for (int i = 0; i < LIVE; i++)
		sum += live[i] ? mi_usable_size(live[i]) : 0;
	if (!strcmp(how, "after")) { /* a write through a freed pointer */
		void **p = live[5];

		mi_free(p);
		sum = (unsigned long)p;
		p[0] = (void *)0x4141414141414141;
	}
	printf("%lu\n", sum);
	fflush(stdout);
	raise(SIGSTOP);
	return 0;
}
