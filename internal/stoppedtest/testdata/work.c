struct workings { long depth; int left; };
static struct workings work_state;

__attribute__((noinline)) static int deeper(int n, int (*call)(int), struct workings *s)
{
	int sum = n;

	s->depth++;
	s->left = n;
	if (n > 0)
		sum += deeper(n - 1, call, s) + 1;
	else
		sum += call(s->depth - 1);
	return sum + s->left;
}

int work(int n, int (*call)(int))
{
	return deeper(n, call, &work_state) + 1;
}
