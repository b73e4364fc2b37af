/* Objects whose place and value the tests of package ctype know. */
#include <stddef.h>
#include <stdint.h>

struct hidden;

struct ctx {
	unsigned long ip;
	unsigned long sp;
};

struct node {
	struct ctx ctx;
	const char *name;
	char tag[8];
	struct node *next;
	struct node **prev;
	union {
		int i;
		struct {
			short lo;
			short hi;
		};
	};
	unsigned a : 3;
	signed b : 5;
	unsigned long wide : 40;
	struct hidden *h;
	int tail[];
};

struct bits {
	unsigned char c;
	unsigned x : 1, : 2, y : 7;
	unsigned long z : 33;
	signed char s : 4;
};

enum colour { RED, GREEN = 5, BLUE };
enum sign { MINUS = -1, PLUS = 1 };
typedef enum { F_A = 1, F_B = 2, F_C = 4 } flags_t;

extern struct node second;
struct node first = {
	.ctx = { 0x1122334455667788, 42 }, .name = "first", .tag = "tagged",
	.next = &second, .i = 0x00020001, .a = 5, .b = -3, .wide = 0x8877665544,
};
struct node second = { .name = "second", .tag = "12345678", .next = &first, .a = 1 };

struct bits bits = { 0xff, 1, 0x55, 0x1ffffffff, -8 };
int matrix[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
enum colour colour = GREEN;
enum sign sign = MINUS;
flags_t flags = F_A | F_C;
static int only_here = 77;
_Bool yes = 1;
double pi = 3.14159;
int *zero_pointer;
uint64_t words[4] = { 1, 2, 3, 4 };

int use(void)
{
	return only_here++ + matrix[1][2] + (int)offsetof(struct node, h);
}
