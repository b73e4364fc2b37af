/* Functions that end in a jump: what they were entered with is known by their
 * caller's call only if the jump cannot lead to them again. */
typedef void hook(int);
hook *volatile after;
volatile int sink;

__attribute__((noinline, noclone)) void last(int a) { sink = a; }
__attribute__((noinline, noclone)) void forward(int a) { sink = a; last(a + 1); }
__attribute__((noinline, noclone)) void anywhere(int a) { sink = a; after(a + 1); }
__attribute__((noinline, noclone)) void to_anywhere(int a) { sink = a; anywhere(a + 1); }
void ping(int a);
__attribute__((noinline, noclone)) void pong(int a) { sink = a; if (a > 3) ping(a - 1); }
__attribute__((noinline, noclone)) void ping(int a) { sink = a; if (a > 5) pong(a - 1); }

void _start(void)
{
	forward(1);
	anywhere(2);
	to_anywhere(3);
	ping(4);
}
