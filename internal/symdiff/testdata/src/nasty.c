#include "nasty.h"

struct node { struct node *next; int key; };

volatile int sink;
int table[16];
extern int asm_add(int a, int b);
int second(struct node *n, int depth);

__attribute__((noinline, cold, noreturn)) static void die(int code)
{
	for (;;)
		sink = code;
}

/* The unlikely part is split off. */
__attribute__((noinline)) int guarded(int i)
{
	if (__builtin_expect(i < 0 || i > 15, 0)) {
		sink = outer(i);
		die(innermost(i));
	}
	return table[i];
}

/* One call with a constant: a clone. */
static __attribute__((noinline)) int scaled(int v, int by)
{
	int s = 0;
	while (v-- > 0)
		s += by * middle(v, by);
	return s;
}

/* Only one member is used: another kind of clone. */
static __attribute__((noinline)) int key_of(struct node *n) { return n->key + sink; }

__attribute__((noinline)) int jumps(int op, int a, int b)
{
	switch (op) {
	case 0: return a + b;
	case 1: return a - b;
	case 2: return middle(a, b);
	case 3: return b ? a / b : die(a), 0;
	case 4: return a << (b & 7);
	case 5: REPEAT(sink = innermost(a)); /* fall through */
	case 6: return outer(b);
	case 7: return guarded(a) + guarded(b);
	default: return second(0, a);
	}
}

/* A call at the end that becomes a jump. */
__attribute__((noinline)) int tail(int v) { return jumps(v & 7, v, v + 1); }

/* Computed goto. */
__attribute__((noinline)) int threaded(const unsigned char *code)
{
	static void *const labels[] = { &&stop, &&inc, &&twice, &&both };
	int acc = 0;
	goto *labels[*code++ & 3];
inc:
	acc++;
	goto *labels[*code++ & 3];
twice:
	acc = innermost(acc);
	goto *labels[*code++ & 3];
both:
	acc = middle(acc, 7);
	goto *labels[*code++ & 3];
stop:
	return acc;
}

__attribute__((noinline)) int many(int n, ...)
{
	__builtin_va_list ap;
	int s = 0;
	__builtin_va_start(ap, n);
	while (n-- > 0)
		s += __builtin_va_arg(ap, int);
	__builtin_va_end(ap);
	return s;
}

__attribute__((noinline)) int vla(int n)
{
	int a[n];
	for (int i = 0; i < n; i++)
		a[i] = outer(i);
	return a[n / 2];
}

/* Lines of a file that was generated. */
#line 1000 "generated/grammar.y"
__attribute__((noinline)) int generated(int v)
{
	if (v)
		return innermost(v) +
		       innermost(v + 1);
#line 2000 "generated/other.y"
	return table[3];
}
#line 92 "nasty.c"

__attribute__((section(".text.special"), noinline)) int apart(int v) { return outer(v) + 1; }
int same(int v) __attribute__((alias("apart")));
__attribute__((weak)) int weak(int v) { return v; }

int main(int argc, char **argv)
{
	struct node n = { 0, argc };
	static const unsigned char code[] = { 1, 2, 3, 1, 0 };
	sink = scaled(argc, 7) + key_of(&n) + tail(argc) + threaded(code) + many(3, argc, 2, 3) + vla(argc + 4);
	sink += generated(argc) + apart(argc) + same(2) + weak(1) + asm_add(1, argc) + second(&n, 3) + (argv != 0);
	return sink & 1;
}
