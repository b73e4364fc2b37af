/* Ends by the signal its argument asks for. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

struct request { int id; int len; };

static const int limit = 7;
static struct request *next;

__attribute__((noinline)) static int fault_null(struct request *r) { return r->len; }
__attribute__((noinline)) static void fault_write(volatile int *p) { *p = 1; }
__attribute__((noinline)) static int fault_wild(volatile int *p) { return *p; }
__attribute__((noinline)) static int fault_div(int a, int b) { return a / b; }

int main(int argc, char **argv)
{
	const char *how = argv[1];

	if (!strcmp(how, "null"))
		return fault_null(next);
	if (!strcmp(how, "readonly"))
		fault_write((int *)(uintptr_t)&limit);
	if (!strcmp(how, "unmapped"))
		return fault_wild(mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + (1 << 20));
	if (!strcmp(how, "canonical"))
		return fault_wild((int *)0x8000000000000000ul);
	if (!strcmp(how, "div"))
		return fault_div(argc, argc - 2);
	__builtin_trap();
}
