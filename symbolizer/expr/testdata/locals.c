/* Frames with every way a variable can be kept, for comparing with gdb. */
#define NOINLINE __attribute__((noinline, noclone))
#define INLINE static inline __attribute__((always_inline))

struct pair { long a, b; };
struct wide { int v[6]; const char *tag; };
enum step { FIRST, SECOND, THIRD };

volatile long sink;
volatile int one = 1;

NOINLINE void stop(long code, const char *why)
{
	__asm__ volatile("" : : "r"(code), "r"(why) : "memory");
}

INLINE long innermost(long k, enum step s)
{
	long doubled = k * 2;
	static int times = 7;
	stop(doubled + times, "inner");
	sink = doubled + s;
	return doubled + 1;
}

INLINE long middle(struct pair *p, int depth)
{
	long sum = p->a + p->b;
	if (depth > 0) {
		int scale = depth * 3;
		char tag = 'q';
		sum += innermost(sum * scale, SECOND) + tag;
	}
	sink = sum;
	return sum;
}

NOINLINE long by_value(struct pair p, struct wide w, int unused)
{
	struct pair local = { p.b + one, p.a };
	short s = (short)w.v[2];
	unsigned char bytes[4] = { 1, 2, 3, (unsigned char)one };
	sink = bytes[one];
	long r = middle(&local, w.v[0]);
	sink = s + r + local.a;
	return r;
}

NOINLINE long entered(long first, long second, const char *name)
{
	long before = first * second;
	struct wide w = { { (int)first, 2, 3, 4, 5, 6 }, name };
	struct pair p = { before, second };
	const long konst = 99;
	long r = by_value(p, w, 5);
	/* first and second are dead here: only their values at entry remain. */
	sink = r;
	return r + konst;
}

NOINLINE long looping(int n)
{
	long total = 0;
	for (int i = 0; i < n; i++) {
		long step = i * 10L + one;
		double ratio = (double)step / 4;
		total += entered(step, i + 2, "looped");
		sink = (long)ratio;
	}
	return total;
}

int main(void)
{
	int argc = one + 1;
	volatile struct wide on_stack = { { 9, 8, 7 }, "stack" };
	sink = looping(argc) + on_stack.v[0];
	for (;;)
		;
}
