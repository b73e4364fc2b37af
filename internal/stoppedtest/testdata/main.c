#include <signal.h>
#include <stdio.h>

int work(int n, int (*call)(int));

struct job { int id; const char *name; };
struct job last;

__attribute__((noinline)) static int each(int n)
{
	last.id = n;
	last.name = "job";
	if (n == 3)
		raise(SIGSTOP);
	return n * 2;
}

int main(void)
{
	puts("here");
	return work(3, each) == 0;
}
