/* Small functions that compilers take apart and put into each other. */
#define REPEAT(x) \
	do {      \
		x;    \
		x;    \
	} while (0)

static inline int innermost(int v)
{
	return v * 3 + 1;
}

static inline __attribute__((always_inline)) int middle(int v, int w)
{
	int a = innermost(v);
	if (w > 3)
		a += innermost(w);
	return a;
}

static inline int outer(int v)
{
	int s = 0;
	for (int i = 0; i < v; i++)
		s += middle(i, v) ^ innermost(i); return s;
}
