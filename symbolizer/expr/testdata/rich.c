/* One global of every kind a C program has, for comparing with gdb. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum colour { RED, GREEN, BLUE = 7, INDIGO };
enum negative { LEAST = -5, NONE = 0, MOST = 5 };
typedef enum { F_READ = 1, F_WRITE = 2, F_EXEC = 4 } mode_t_;
enum wideflags { W_A = 1, W_BC = 6, W_D = 8 };
enum zeroflag { Z_NONE = 0, Z_ONE = 1, Z_TWO = 2 };
enum dupflag { D_A = 1, D_AA = 1, D_B = 2 };
enum small { S_A, S_B } __attribute__((packed));

struct point { int x, y; };
struct opaque;
struct empty {};
struct nested {
	struct point p;
	struct { int a; struct { char c; short s; } deep; } anon_named;
	union { int i; float f; unsigned char b[4]; } u;
	struct { long hidden; int also; };
	union { void *vp; const char *cp; };
	struct point arr[3];
};
struct bitfields {
	unsigned a : 1;
	unsigned b : 3;
	int c : 4;
	unsigned long d : 33;
	_Bool e : 1;
	enum colour f : 4;
	signed char g : 3;
	unsigned : 0;
	unsigned h : 30;
};
struct flexible { size_t n; int data[]; };
struct flexchar { int n; char data[]; };
struct zero { int n; int data[0]; };
struct list { struct list *next, **prev; const struct list *const c; volatile int v; };
typedef int (*binary_fn)(int, int);
typedef struct { binary_fn fn; void (*cb)(void *, ...); int (*table[3])(void); } ops_t;
typedef struct point point_t;
typedef point_t *point_ptr;
typedef unsigned long ulong_t;
typedef int matrix_t[2][3];
typedef char name_t[16];
typedef float v4sf __attribute__((vector_size(16)));

int add(int a, int b) { return a + b; }
static int sub(int a, int b) { return a - b; }
int noargs(void) { return 0; }
int oldstyle() { return 1; }
void variadic(const char *fmt, ...) { (void)fmt; }
void cb(void *p, ...) { (void)p; }
struct point *ret_ptr(struct point *p, const char *const *names) { (void)names; return p; }
binary_fn pick(int w) { return w ? add : sub; }
void (*handler(int sig, void (*f)(int)))(int) { (void)sig; return f; }

/* Integers and characters. */
char c_a = 'a', c_nul = 0, c_quote = '\'', c_bs = '\\', c_nl = '\n', c_esc = 27, c_high = (char)0xe9;
signed char sc = -3;
unsigned char uc = 200;
short sh = -300;
unsigned short ush = 65000;
int i_neg = -42, i_zero;
unsigned int ui = 4000000000u;
long l_min = (-9223372036854775807L - 1);
unsigned long ul = 18446744073709551615ul;
long long ll = -1;
__int128 big = (__int128)1 << 100;
unsigned __int128 ubig = ~(unsigned __int128)0;
uint8_t u8 = 'x';
int8_t i8 = -1;
uint16_t u16 = 7;
uint64_t u64 = 0xdeadbeefcafebabe;
size_t sz = sizeof(struct nested);
_Bool yes = 1, no = 0;
bool arr_bool[3] = { true, false, true };
wchar_t wc = L'w';
volatile int vol = 3;
const int konst = 4;
const volatile unsigned cv = 5;

/* Floating point. */
float f1 = 1.1f, f_third = 1.0f / 3, f_big = 1e30f, f_neg0 = -0.0f;
double d1 = 3.14159, d_int = 42, d_small = 1e-10, d_inf = __builtin_inf(), d_nan = __builtin_nan(""), d_e = 1e17, d_e16 = 123456789012345678.0;
double d_denorm = 4.9406564584124654e-324;
long double ld = 2.5L, ld_third = 1.0L / 3;
float f_arr[4] = { 1, 2.5f, -3, 0 };
_Complex double cplx = 1.0 + 2.0i;
v4sf vec = { 1, 2, 3, 4 };

/* Strings. */
char str[] = "hello";
char padded[16] = "abc";
char full[4] = { 'a', 'b', 'c', 'd' };
char nuls[20];
char holes[32] = "ab\0cd\0\0ef";
char esc[] = "tab\t nl\n quote\" bs\\ bell\a esc\033 high\351 d\0019";
char runs[64] = "xaaaaaaaaaaaaaaaaaaaay";
char ten[] = "aaaaaaaaaab", eleven[] = "aaaaaaaaaaab";
char longtext[300] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
char exact200[200] = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901";
unsigned char bytes[8] = { 1, 2, 3, 0xff, 0x80, 'z', 0, 0 };
signed char sbytes[4] = { -1, 0, 'q', 0 };
uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
const char *cp = "pointed";
const char *cp_long = "long: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef end";
const char *cp_null;
char *cp_bad = (char *)8;
unsigned char *ucp = (unsigned char *)"unsigned text";
const char *names[4] = { "zero", "one", 0, "three" };
char **argvp = (char **)names;
wchar_t wdig[] = L"\x3b1" L"9";
wchar_t wide[] = L"wide \x3b1!";
char table[3][8] = { "one", "two", "threeee" };
name_t nm = "typedef'd";
name_t nms[2] = { "a", "b" };

/* Enums. */
enum colour col = BLUE, col_odd = 99;
enum negative neg = LEAST;
mode_t_ mode = F_READ | F_EXEC, mode0 = 0, mode_odd = F_WRITE | 0x30, mode_only_odd = 0x30;
enum wideflags wf = W_A | W_BC, wf_part = 2, wf_all = 15;
enum zeroflag zf0 = Z_NONE, zf3 = Z_ONE | Z_TWO, zf4 = 4;
enum dupflag df = D_B | D_A;
enum small sm = S_B;
enum colour cols[5] = { RED, GREEN, BLUE, INDIGO, 3 };

/* Arrays. */
int arr[5] = { 1, 2, 3, 4, 5 };
int zeros[100];
int many[300] = { [0] = 1, [10] = 2, [150] = 3, [299] = 9 };
int distinct[250];
matrix_t mat = { { 1, 2, 3 }, { 4, 5, 6 } };
int cube[2][2][2] = { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } };
int rowsame[12][2];
struct point pts[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
struct point ptzero[20];
int one[1] = { 11 };
const int karr[2] = { 8, 9 };
volatile unsigned char vbuf[3] = { 1, 2, 3 };
void *ptrs[4] = { &arr[1], &arr[0], add, 0 };
int (*fns[3])(int, int) = { add, 0, sub };
long sixteen[16] = { [3] = 3 };

/* Pointers. */
int *ip = &arr[2];
int **ipp = &ip;
void *vp = &col;
void *vnull;
const int *kp = &konst;
int *const pk = &arr[0];
const volatile int *const cvp = &vol;
int *restrict rp = &arr[1];
struct point *pp = &pts[1];
point_ptr ptd = &pts[2];
struct opaque *op;
struct opaque *op_bad = (struct opaque *)0x1234;
int (*parr)[5] = &arr;
int (*pmat)[3] = mat;
int (*fp)(int, int) = add;
binary_fn tfp = sub;
binary_fn *pfp = &tfp;
void (*vfp)(void) = (void (*)(void))noargs;
void (*nullfp)(void);
void (*midfp)(void) = (void (*)(void))((char *)add + 1);
struct point *(*rfp)(struct point *, const char *const *) = ret_ptr;
binary_fn (*pickp)(int) = pick;
void (*(*hp)(int, void (*)(int)))(int) = handler;
int (*oldp)() = oldstyle;
void (*varp)(const char *, ...) = variadic;
void *far = (void *)0xffffffffffff0000;
struct nested *np;
char (*pstr)[6] = &str;
unsigned long addr_as_long = (unsigned long)&arr[0];
_Bool *bp = &yes;
enum colour *ep = &col;

/* Structs and unions. */
struct point pt = { 10, -20 };
point_t ptt = { 30, 40 };
const struct point kpt = { 1, 1 };
struct empty nothing;
struct nested ns = { { 1, 2 }, { 3, { 'x', 4 } }, { .f = 1.5f }, { 5, 6 }, { .cp = "in union" }, { { 7, 8 }, { 9, 10 } } };
struct nested nsz;
struct bitfields bf = { 1, 5, -3, 0x1ffffffff, 1, BLUE, -2, 12345 };
struct flexible flex = { 3, { 1, 2, 3 } };
struct flexchar flexc = { 3, "abc" };
struct zero zr = { 1 };
struct list node2;
struct list node1 = { &node2, &node2.next, &node2, 5 };
ops_t ops = { add, cb, { noargs, 0, noargs } };
union { int i; double d; char s[8]; struct point p; } un = { .s = "union" };
union { unsigned long all; struct { unsigned lo, hi; } half; } halves = { 0x1122334455667788 };
struct { int anon_a; char anon_b[4]; } anon_struct = { 1, "abc" };
struct { struct { struct { struct { int deep; } d; } c; } b; } deep4 = { { { { 1 } } } };
struct { char a; enum colour e; _Bool b; mode_t_ m; float f; char *s; void *v; int (*fn)(int, int); uint8_t raw[20]; } mixed =
	{ 'm', INDIGO, true, F_READ | F_WRITE, 0.5f, "mixed text", &mixed, add, "raw" };
struct { name_t name; matrix_t m; point_ptr p; const char *const *names; } tds = { "td", { { 1 } }, &pt, names };
struct { struct point (*pa)[3]; int (*f[2])(void); const struct point *kp; volatile struct point *vp; } decls = { &pts, { noargs, noargs }, &kpt, &pt };
ulong_t ult = 12;
ulong_t ults[3] = { 1, 2, 3 };
struct { int before; struct flexible *fl; struct opaque *o; struct { int x; } *anonp; } holder = { 1, &flex, 0, 0 };
struct big { char text[300]; int numbers[250]; } bigs = { "start", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2 } };
struct point grid[3][3] = { { { 1, 1 } }, { { 2, 2 } } };

static int file_static = 5;
static const char *const file_names[] = { "a", "b" };

int counter(void)
{
	static int calls = 41;
	return ++calls;
}

int main(void)
{
	return file_static + (int)(size_t)file_names[0] + sub(3, 2) + counter() + i_zero;
}
