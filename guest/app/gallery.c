/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of every shape a C debugger has to show. Nothing reads them but a debugger and its tests. */
#include "app.h"

enum colour { RED, GREEN, BLUE = 7, NO_COLOUR = -1 };
enum rights { MAY_READ = 1, MAY_WRITE = 2, MAY_EXEC = 4 };
typedef unsigned long cookie_t;
typedef int (*compare_fn)(const void *, const void *);

struct point {
	int x, y;
};

struct __packed wire_header {
	__u8 version;
	__u32 length;
	__u16 kind;
	__u64 cookie;
};

struct bits {
	unsigned int low : 3;
	signed int middle : 5;
	bool flag : 1;
	enum rights rights : 3;
	unsigned long : 0;
	__u64 wide : 40;
	__s64 signed_wide : 24;
};

struct node {
	struct node *next;
	const char *name;
	struct point at;
};

union number {
	__u32 u;
	__s32 i;
	float f;
	__u8 bytes[4];
};

struct message {
	__u16 count;
	char tag[6];
	struct point points[];
};

struct gallery {
	char letter;
	signed char small;
	unsigned char byte;
	short s16;
	__u64 big;
	bool yes, no;
	float third;
	double pi, huge, tiny;
	enum colour colour, no_colour, unnamed_colour;
	enum rights rights;
	cookie_t cookie;
	char text[16];
	char escapes[12];
	char full[4]; /* no room for a NUL */
	int matrix[2][3];
	__u8 zeros[300];
	__u16 runs[24];
	struct point corners[2];
	const struct point *const origin;
	struct node *list;
	compare_fn compare;
	void *nothing;
	const char *const *words;
	volatile int *where;
	struct bits bits;
	struct wire_header wire;
	union number number;
	struct {
		int a;
		union {
			int b;
			struct {
				__u16 c, d;
			};
		};
	} nested;
};

static int compare_points(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->x != q->x ? p->x - q->x : p->y - q->y;
}

static const char *const words[] = { "alpha", "beta", NULL };
static const struct point origin = { 0, 0 };
static volatile int somewhere = -42;
static struct node third_node = { NULL, "third", { 5, 6 } };
static struct node second_node = { &third_node, "second", { 3, 4 } };
struct node first_node = { &second_node, "first", { 1, 2 } };
struct message message = { 2, "two", { { 10, 20 }, { -30, -40 } } };
double ratios[3] = { 0.5, -1.25e-9, 1e100 };
cookie_t cookies[4] = { 1, 2, 3, 0xffffffffffffffff };

struct gallery gallery __used = {
	.letter = 'k',
	.small = -7,
	.byte = 200,
	.s16 = -300,
	.big = 0xfedcba9876543210,
	.yes = true,
	.third = 1.0f / 3,
	.pi = 3.141592653589793,
	.huge = 1e300 * 1e300,
	.tiny = -1e-310,
	.colour = BLUE,
	.no_colour = NO_COLOUR,
	.unnamed_colour = (enum colour)5,
	.rights = MAY_READ | MAY_EXEC,
	.cookie = 0x1122334455667788,
	.text = "plain text",
	.escapes = "a\tb\"c\\d\001\377",
	.full = { 'f', 'u', 'l', 'l' },
	.matrix = { { 1, 2, 3 }, { -4, -5, -6 } },
	.runs = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7 },
	.corners = { { -1, -1 }, { 1, 1 } },
	.origin = &origin,
	.list = &first_node,
	.compare = compare_points,
	.words = words,
	.where = &somewhere,
	.bits = { 5, -3, true, MAY_WRITE | MAY_EXEC, 0xabcdef0123, -2 },
	.wire = { 1, 0x01020304, 0x0506, 0x0708090a0b0c0d0e },
	.number = { .f = 1.5f },
	.nested = { 1, { .b = 0x00030002 } },
};
