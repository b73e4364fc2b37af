#include "sub/util.h"

static int table[4] = { 3, 1, 4, 1 };

static inline int pick(int i) { return table[clamp(i, 0, 3)]; }

int helper_in_other_unit(int x)
{
	int v = pick(x);
	if (v > 3)
		v = add(v, pick(x + 1));
	return v;
}

void *memcpy(void *d, const void *s, unsigned long n)
{
	char *a = d;
	const char *b = s;
	while (n--)
		*a++ = *b++;
	return d;
}

void *memset(void *d, int c, unsigned long n)
{
	char *a = d;
	while (n--)
		*a++ = c;
	return d;
}
