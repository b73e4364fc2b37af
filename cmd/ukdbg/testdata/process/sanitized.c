/* What AddressSanitizer refuses: of a global, a stack variable, a heap object, a freed one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void __sanitizer_set_death_callback(void (*)(void));

int stock[10];
static volatile int sink;

static void trap(void) { __builtin_trap(); }

/* ASan keeps its shadow out of cores: put the part that tells of an address in. */
static void keep(const void *addr)
{
	uintptr_t page = (0x7fff8000 + ((uintptr_t)addr >> 3)) & ~(uintptr_t)4095;
	madvise((void *)(page - 4096), 3 * 4096, MADV_DODUMP);
	madvise((void *)((uintptr_t)addr & ~(uintptr_t)4095), 4096, MADV_DODUMP);
}

__attribute__((noinline)) static int fault_global(int n)
{
	keep(stock);
	return stock[n + 10];
}

__attribute__((noinline)) static int fault_stack(int n)
{
	int before = n;
	char basket[13];
	keep(basket);
	memset(basket, n, sizeof basket);
	sink = before;
	basket[n + 13] = 1;
	return basket[n];
}

__attribute__((noinline)) static int fault_heap(int n)
{
	char *p = malloc(61);
	keep(p);
	p[n + 61] = 1;
	return p[n];
}

__attribute__((noinline)) static int fault_uaf(int n)
{
	char *p = malloc(61);
	keep(p);
	free(p);
	return p[n + 5];
}

int main(int argc, char **argv)
{
	int n = argc - 2;

	/* The allocator's reserve, which is not there and would be written. */
	madvise((void *)0x600000000000, 1ul << 42, MADV_DONTDUMP);

	__sanitizer_set_death_callback(trap);
	if (!strcmp(argv[1], "global"))
		return fault_global(n);
	if (!strcmp(argv[1], "stack"))
		return fault_stack(n);
	if (!strcmp(argv[1], "heap"))
		return fault_heap(n);
	return fault_uaf(n);
}
