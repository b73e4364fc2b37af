/* A block of an inlined function all of whose variables are optimized out: clang
 * gives the instance none of it. */
static inline unsigned long counter(void)
{
	return ({
		unsigned long ticks;
		__asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %%rax" : "=a"(ticks) : : "rdx");
		ticks;
	});
}

unsigned long boot;

void _start(void) { boot = counter(); }
