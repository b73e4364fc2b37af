#include "nasty.h"

struct node { struct node *next; int key; };
extern volatile int sink;

/* Recursion with itself put into itself. */
int second(struct node *n, int depth)
{
	if (!n || depth <= 0)
		return outer(depth & 3);
	int s = innermost(n->key);
	for (struct node *p = n; p; p = p->next)
		s += middle(p->key, depth) + second(p->next, depth - 1);
	return s;
}

static int counter;
static __attribute__((noinline)) void bump(int by) { counter += by; }

__attribute__((constructor)) static void early(void)
{
	for (int i = 0; i < 3; i++)
		bump(innermost(i));
	sink = counter;
}
