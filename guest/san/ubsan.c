/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime of -fsanitize=undefined, in the words of Unikraft's lib/ubsan. The
 * layouts are those of LLVM's compiler-rt/lib/ubsan/ubsan_handlers.h, which
 * GCC follows. As there, an error is told and the guest goes on, but for what
 * cannot go on: an unreachable point and a missing return.
 *
 * Handlers that need floating point (float-cast) are left out: the guest has
 * none.
 */
#define __LIBNAME__ "libubsan"
#include <uk/crash.h>

struct location {
	const char *file;
	__u32 line;
	__u32 column;
};

#define KIND_INTEGER 0
#define INFO_SIGNED 1

struct type {
	__u16 kind;
	__u16 info; /* of an integer: bit 0 signed, the rest log2 of its bits */
	char name[]; /* with its quotes */
};

struct typed {
	struct location at;
	const struct type *type;
};

struct two_types {
	struct location at;
	const struct type *left, *right;
};

struct mismatch {
	struct location at;
	const struct type *type;
	__u8 log_alignment;
	__u8 access;
};

struct nonnull {
	struct location at;
	struct location attribute;
	int argument;
};

struct builtin {
	struct location at;
	__u8 which; /* 0 ctz, 1 clz */
};

#define VALUE_SIZE 32
#define WORD_BITS 64

/* An integer of up to 64 bits is the value itself, a wider one is pointed at. */
static const char *show(char *out, const struct type *t, __uptr value)
{
	unsigned int bits = 1u << (t->info >> 1);

	if (t->kind != KIND_INTEGER || bits > WORD_BITS)
		snprintf(out, VALUE_SIZE, "?");
	else if (t->info & INFO_SIGNED)
		snprintf(out, VALUE_SIZE, "%ld", (long)(value << (WORD_BITS - bits)) >> (WORD_BITS - bits));
	else
		snprintf(out, VALUE_SIZE, "%lu", value << (WORD_BITS - bits) >> (WORD_BITS - bits));
	return out;
}

static bool is_signed(const struct type *t)
{
	return t->kind == KIND_INTEGER && t->info & INFO_SIGNED;
}

#define TELL(at, fmt, ...)                                                                            \
	uk_pr_err("Undefined behavior at %s:%u:%u: " fmt "\n", (at)->file, (at)->line, (at)->column,  \
		  ##__VA_ARGS__)
#define DIE(at, fmt)                                                                                  \
	UK_CRASH("Undefined behavior at %s:%u:%u: " fmt "\n", (at)->file, (at)->line, (at)->column)

static void overflow(const struct typed *d, __uptr l, char op, __uptr r)
{
	char left[VALUE_SIZE], right[VALUE_SIZE];

	TELL(&d->at, "%s integer overflow: %s %c %s cannot be represented in type %s",
	     is_signed(d->type) ? "signed" : "unsigned", show(left, d->type, l), op, show(right, d->type, r),
	     d->type->name);
}

void __ubsan_handle_add_overflow(const struct typed *d, __uptr l, __uptr r);
void __ubsan_handle_add_overflow(const struct typed *d, __uptr l, __uptr r)
{
	overflow(d, l, '+', r);
}

void __ubsan_handle_sub_overflow(const struct typed *d, __uptr l, __uptr r);
void __ubsan_handle_sub_overflow(const struct typed *d, __uptr l, __uptr r)
{
	overflow(d, l, '-', r);
}

void __ubsan_handle_mul_overflow(const struct typed *d, __uptr l, __uptr r);
void __ubsan_handle_mul_overflow(const struct typed *d, __uptr l, __uptr r)
{
	overflow(d, l, '*', r);
}

static bool is_minus_one(const struct type *t, __uptr v)
{
	unsigned int bits = 1u << (t->info >> 1);

	return is_signed(t) && bits <= WORD_BITS && (long)(v << (WORD_BITS - bits)) >> (WORD_BITS - bits) == -1;
}

void __ubsan_handle_divrem_overflow(const struct typed *d, __uptr l, __uptr r);
void __ubsan_handle_divrem_overflow(const struct typed *d, __uptr l, __uptr r)
{
	if (is_minus_one(d->type, r))
		overflow(d, l, '/', r);
	else
		TELL(&d->at, "division by zero");
}

void __ubsan_handle_negate_overflow(const struct typed *d, __uptr v);
void __ubsan_handle_negate_overflow(const struct typed *d, __uptr v)
{
	char value[VALUE_SIZE];

	TELL(&d->at, "negation of %s cannot be represented in type %s", show(value, d->type, v), d->type->name);
}

void __ubsan_handle_shift_out_of_bounds(const struct two_types *d, __uptr l, __uptr r);
void __ubsan_handle_shift_out_of_bounds(const struct two_types *d, __uptr l, __uptr r)
{
	char left[VALUE_SIZE], right[VALUE_SIZE];

	TELL(&d->at, "shift of %s by %s out of bounds for type %s", show(left, d->left, l), show(right, d->right, r),
	     d->left->name);
}

/* Here left is the array's type and right the index's. */
void __ubsan_handle_out_of_bounds(const struct two_types *d, __uptr index);
void __ubsan_handle_out_of_bounds(const struct two_types *d, __uptr index)
{
	char value[VALUE_SIZE];

	TELL(&d->at, "index %s out of bounds for type %s", show(value, d->right, index), d->left->name);
}

void __ubsan_handle_type_mismatch_v1(const struct mismatch *d, __uptr p);
void __ubsan_handle_type_mismatch_v1(const struct mismatch *d, __uptr p)
{
	const char *access = d->access == 0 ? "load from" : d->access == 1 ? "store to" : "access of";
	__uptr align = (__uptr)1 << d->log_alignment;

	if (!p)
		TELL(&d->at, "%s null pointer of type %s", access, d->type->name);
	else if (p & (align - 1))
		TELL(&d->at, "%s misaligned address %#lx for type %s, which requires %lu byte alignment", access, p,
		     d->type->name, align);
	else
		TELL(&d->at, "%s address %#lx with insufficient space for an object of type %s", access, p,
		     d->type->name);
}

void __ubsan_handle_pointer_overflow(const struct location *at, __uptr base, __uptr result);
void __ubsan_handle_pointer_overflow(const struct location *at, __uptr base, __uptr result)
{
	TELL(at, "pointer index expression with base %#lx overflowed to %#lx", base, result);
}

void __ubsan_handle_vla_bound_not_positive(const struct typed *d, __uptr bound);
void __ubsan_handle_vla_bound_not_positive(const struct typed *d, __uptr bound)
{
	char value[VALUE_SIZE];

	TELL(&d->at, "variable length array bound value %s <= 0", show(value, d->type, bound));
}

void __ubsan_handle_load_invalid_value(const struct typed *d, __uptr v);
void __ubsan_handle_load_invalid_value(const struct typed *d, __uptr v)
{
	char value[VALUE_SIZE];

	TELL(&d->at, "load of value %s, which is not a valid value for type %s", show(value, d->type, v), d->type->name);
}

void __ubsan_handle_nonnull_arg(const struct nonnull *d);
void __ubsan_handle_nonnull_arg(const struct nonnull *d)
{
	TELL(&d->at, "null pointer passed as argument %d, which is declared to never be null", d->argument);
}

void __ubsan_handle_nonnull_return_v1(const struct location *attribute, const struct location *at);
void __ubsan_handle_nonnull_return_v1(const struct location *attribute, const struct location *at)
{
	(void)attribute;
	TELL(at, "null pointer returned from function declared to never return null");
}

void __ubsan_handle_invalid_builtin(const struct builtin *d);
void __ubsan_handle_invalid_builtin(const struct builtin *d)
{
	TELL(&d->at, "calling __builtin_%s with zero", d->which ? "clz" : "ctz");
}

void __ubsan_handle_builtin_unreachable(const struct location *at) __noreturn;
void __ubsan_handle_builtin_unreachable(const struct location *at)
{
	DIE(at, "execution reached unreachable program point");
}

void __ubsan_handle_missing_return(const struct location *at) __noreturn;
void __ubsan_handle_missing_return(const struct location *at)
{
	DIE(at, "execution reached end of value-returning function without returning a value");
}
