/* Functions that end in a jump to another one. */
#ifndef NOINLINE
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa))
#endif
#endif

volatile int sink;
volatile int choice = 1;

__attribute__((noinline)) void stop(int v) { sink = v; }

/* A jump to stop, and one to that. */
NOINLINE void first(int v) { sink += v; stop(v + 1); }
NOINLINE void second(int v) { sink += v; first(v + 1); }
NOINLINE void third(int v) { sink += v; second(v + 1); }

/* Two ways to the same place: what all of them share is certain. */
NOINLINE void left(int v) { sink += 1; first(v); }
NOINLINE void right(int v) { sink += 2; first(v); }
NOINLINE void fork(int v) { if (choice) left(v); else right(v); }
NOINLINE void enter(int v) { sink += 3; fork(v); }

/* Two ways that share nothing. */
NOINLINE void either(int v) { if (choice) first(v); else stop(v); }

/* A jump back and forth. */
NOINLINE void odd(int v);
NOINLINE void even(int v) { if (v == 0) { stop(v); return; } odd(v - 1); }
NOINLINE void odd(int v) { if (v == 1) { stop(v); return; } even(v - 1); }

/* A jump to an address. */
void (*volatile pointer)(int) = stop;
NOINLINE void indirect(int v) { sink += v; pointer(v); }

/* A jump out of an inlined function. */
static inline __attribute__((always_inline)) void inlined(int v) { sink += 4; second(v); }
NOINLINE void outer(int v) { sink += 5; inlined(v); }

/* A function that has a cold part. */
extern void cold_path(int) __attribute__((cold));
NOINLINE void cold_path(int v) { sink -= v; }
NOINLINE void parts(int v) { if (__builtin_expect(choice == 7, 0)) { cold_path(v); sink += 9; cold_path(v + 1); } first(v); }

/* The call that begins it is an indirect one. */
void (*volatile begin)(int) = second;

NOINLINE int run(int n)
{
	stop(n);
	first(n);
	second(n);
	third(n);
	enter(n);
	either(n);
	even(4);
	odd(5);
	indirect(n);
	outer(n);
	parts(n);
	begin(n);
	return sink;
}

__attribute__((used)) int main(void)
{
	run(1);
	for (;;) {
		run(2);
		choice = !choice;
	}
}

/* main is called on a stack of its own. */
__asm__(
	".globl _start\n"
	"_start:\n"
#ifdef BOARD
	"	adrp x0, stack_top\n"
	"	add x0, x0, :lo12:stack_top\n"
	"	mov sp, x0\n"
	"	mov x29, 0\n"
	"	mov x30, 0\n"
	"	b main\n"
#else
	"	lea stack_top(%rip), %rsp\n"
	"	xor %ebp, %ebp\n"
	"	push $0\n"
	"	jmp main\n"
#endif
	".size _start, .-_start\n"
	".bss\n.balign 4096\n.skip 16384\nstack_top: .skip 4096\n.text\n");
