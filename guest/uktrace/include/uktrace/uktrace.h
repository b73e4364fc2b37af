/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracepoints that write to uktrace's rings. UKTRACE_POINT(trace_open, open, "\"%s\" 0x%x", const char *, int) makes the function
 * trace_open(path, flags), an entry of the tracepoint `open` in .uk_tracepoints_list (the format of Unikraft's uk/trace.h; not
 * loaded, only NAME.dbg has it) and its switch in the section uktrace_points. A port's uk/trace.h makes UK_TRACEPOINT of it.
 *
 * At most seven arguments: integers and pointers of 1 to 8 bytes, and strings, of which 80 bytes are kept.
 */
#ifndef UKTRACE_H
#define UKTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uktrace/format.h>

/* What a tracepoint is at boot. */
#ifndef UKTRACE_POINT_ENABLED
#define UKTRACE_POINT_ENABLED 1
#endif
#ifndef UKTRACE_POINT_FRAMES
#define UKTRACE_POINT_FRAMES 0
#endif

#define UKTRACE_DEF_MAGIC 0x65645054 /* "TPde" */

/* A record being written. */
struct uktrace_cursor {
	struct uktrace_record *record;
	unsigned char *p;
	uint64_t commit;
};

/* Reserves a record with that many bytes of arguments; false if this CPU has no ring. */
bool uktrace_begin(struct uktrace_cursor *c, const struct uktrace_point *point, uint32_t args_size);

static inline bool uktrace_enabled(const struct uktrace_point *point)
{
	return __builtin_expect(__atomic_load_n(&point->enabled, __ATOMIC_RELAXED) && __atomic_load_n(&uktrace.on, __ATOMIC_RELAXED), 1);
}

/* Publishes the record: a reader that sees this word sees all of it. */
static inline void uktrace_end(struct uktrace_cursor *c) { __atomic_store_n(&c->record->commit, c->commit, __ATOMIC_RELEASE); }

static inline uint8_t uktrace_length(const char *s)
{
	uint8_t n = 0;

	while (s && n < UKTRACE_MAX_STRLEN && s[n])
		n++;
	return n;
}

/* The arguments are packed: __builtin_memcpy of a constant size is a store where the machine stores unaligned words. */
static inline void uktrace_string(struct uktrace_cursor *c, const char *s, uint8_t length)
{
	*c->p++ = length;
	for (uint8_t i = 0; i < length; i++)
		c->p[i] = (unsigned char)s[i];
	c->p += length;
}

#define UKTRACE_IS_STRING(t) _Generic((t)0, char * : 1, const char * : 1, default : 0)
#define UKTRACE_IS_STRING_(v) _Generic((v), char * : 1, const char * : 1, default : 0)
#define UKTRACE_LENGTH(v) (UKTRACE_IS_STRING_(v) ? uktrace_length((const char *)(uintptr_t)(v)) : (uint8_t)0)
#define UKTRACE_SIZE(v, n) (UKTRACE_IS_STRING_(v) ? 1u + (n) : (uint32_t)sizeof(v))
#define UKTRACE_PUT(c, v, n)                                                                          \
	do {                                                                                          \
		if (UKTRACE_IS_STRING_(v)) {                                                          \
			uktrace_string((c), (const char *)(uintptr_t)(v), (n));                       \
		} else {                                                                              \
			__builtin_memcpy((c)->p, &(v), sizeof(v));                                    \
			(c)->p += sizeof(v);                                                          \
		}                                                                                     \
	} while (0)

#define UKTRACE_N(...) UKTRACE_N_(0, ##__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0)
#define UKTRACE_N_(_0, _1, _2, _3, _4, _5, _6, _7, n, ...) n
#define UKTRACE_CAT(a, b) UKTRACE_CAT_(a, b)
#define UKTRACE_CAT_(a, b) a##b

#define UKTRACE_PARAMS0() void
#define UKTRACE_PARAMS1(a) a a1
#define UKTRACE_PARAMS2(a, b) a a1, b a2
#define UKTRACE_PARAMS3(a, b, c) a a1, b a2, c a3
#define UKTRACE_PARAMS4(a, b, c, d) a a1, b a2, c a3, d a4
#define UKTRACE_PARAMS5(a, b, c, d, e) a a1, b a2, c a3, d a4, e a5
#define UKTRACE_PARAMS6(a, b, c, d, e, f) a a1, b a2, c a3, d a4, e a5, f a6
#define UKTRACE_PARAMS7(a, b, c, d, e, f, g) a a1, b a2, c a3, d a4, e a5, f a6, g a7

#define UKTRACE_MAP0(m)
#define UKTRACE_MAP1(m, a) m(a)
#define UKTRACE_MAP2(m, a, b) m(a), m(b)
#define UKTRACE_MAP3(m, a, ...) m(a), UKTRACE_MAP2(m, __VA_ARGS__)
#define UKTRACE_MAP4(m, a, ...) m(a), UKTRACE_MAP3(m, __VA_ARGS__)
#define UKTRACE_MAP5(m, a, ...) m(a), UKTRACE_MAP4(m, __VA_ARGS__)
#define UKTRACE_MAP6(m, a, ...) m(a), UKTRACE_MAP5(m, __VA_ARGS__)
#define UKTRACE_MAP7(m, a, ...) m(a), UKTRACE_MAP6(m, __VA_ARGS__)

/* A string is measured once: what is reserved is what is written, even if the string changes meanwhile. */
#define UKTRACE_MEASURE0
#define UKTRACE_MEASURE1 const uint8_t n1 = UKTRACE_LENGTH(a1); size += UKTRACE_SIZE(a1, n1);
#define UKTRACE_MEASURE2 UKTRACE_MEASURE1 const uint8_t n2 = UKTRACE_LENGTH(a2); size += UKTRACE_SIZE(a2, n2);
#define UKTRACE_MEASURE3 UKTRACE_MEASURE2 const uint8_t n3 = UKTRACE_LENGTH(a3); size += UKTRACE_SIZE(a3, n3);
#define UKTRACE_MEASURE4 UKTRACE_MEASURE3 const uint8_t n4 = UKTRACE_LENGTH(a4); size += UKTRACE_SIZE(a4, n4);
#define UKTRACE_MEASURE5 UKTRACE_MEASURE4 const uint8_t n5 = UKTRACE_LENGTH(a5); size += UKTRACE_SIZE(a5, n5);
#define UKTRACE_MEASURE6 UKTRACE_MEASURE5 const uint8_t n6 = UKTRACE_LENGTH(a6); size += UKTRACE_SIZE(a6, n6);
#define UKTRACE_MEASURE7 UKTRACE_MEASURE6 const uint8_t n7 = UKTRACE_LENGTH(a7); size += UKTRACE_SIZE(a7, n7);

#define UKTRACE_SAVE0
#define UKTRACE_SAVE1 UKTRACE_PUT(&cursor, a1, n1);
#define UKTRACE_SAVE2 UKTRACE_SAVE1 UKTRACE_PUT(&cursor, a2, n2);
#define UKTRACE_SAVE3 UKTRACE_SAVE2 UKTRACE_PUT(&cursor, a3, n3);
#define UKTRACE_SAVE4 UKTRACE_SAVE3 UKTRACE_PUT(&cursor, a4, n4);
#define UKTRACE_SAVE5 UKTRACE_SAVE4 UKTRACE_PUT(&cursor, a5, n5);
#define UKTRACE_SAVE6 UKTRACE_SAVE5 UKTRACE_PUT(&cursor, a6, n6);
#define UKTRACE_SAVE7 UKTRACE_SAVE6 UKTRACE_PUT(&cursor, a7, n7);

/* What a port makes of a tracepoint that is configured out. */
#define UKTRACE_UNUSED0
#define UKTRACE_UNUSED1 (void)a1;
#define UKTRACE_UNUSED2 UKTRACE_UNUSED1 (void)a2;
#define UKTRACE_UNUSED3 UKTRACE_UNUSED2 (void)a3;
#define UKTRACE_UNUSED4 UKTRACE_UNUSED3 (void)a4;
#define UKTRACE_UNUSED5 UKTRACE_UNUSED4 (void)a5;
#define UKTRACE_UNUSED6 UKTRACE_UNUSED5 (void)a6;
#define UKTRACE_UNUSED7 UKTRACE_UNUSED6 (void)a7;

/*
 * GCC writes the section name into its assembly as it is, so the rest of the line can be ours: flags "" (not allocated), type note,
 * and a comment that swallows what GCC adds. With clang the linker script makes the section non-allocated.
 */
#if defined(__clang__)
#define UKTRACE_SECTION(name) name
#elif defined(__x86_64__)
#define UKTRACE_SECTION(name) name ",\"\",@note#"
#else
#define UKTRACE_SECTION(name) name ",\"\",@note//"
#endif

#define UKTRACE_POINT(function, tpname, fmt, ...)                                                     \
	_Static_assert(sizeof(#tpname) < 255 && sizeof(fmt) < 255, "too long a name or format");     \
	static struct {                                                                               \
		uint32_t magic;                                                                       \
		uint32_t size;                                                                        \
		uint64_t cookie;                                                                      \
		uint8_t args_nr;                                                                      \
		uint8_t name_len;                                                                     \
		uint8_t format_len;                                                                   \
		uint8_t sizes[UKTRACE_N(__VA_ARGS__)];                                                \
		uint8_t types[UKTRACE_N(__VA_ARGS__)];                                                \
		char name[sizeof(#tpname)];                                                           \
		char format[sizeof(fmt)];                                                             \
	} __attribute__((packed)) uktrace_def_##tpname                                                \
		__attribute__((used, section(UKTRACE_SECTION(".uk_tracepoints_list")))) = {           \
		.magic = UKTRACE_DEF_MAGIC,                                                           \
		.size = sizeof(uktrace_def_##tpname),                                                 \
		.cookie = (uint64_t)&uktrace_def_##tpname,                                            \
		.args_nr = UKTRACE_N(__VA_ARGS__),                                                    \
		.name_len = sizeof(#tpname),                                                          \
		.format_len = sizeof(fmt),                                                            \
		.sizes = { UKTRACE_CAT(UKTRACE_MAP, UKTRACE_N(__VA_ARGS__))(sizeof, ##__VA_ARGS__) }, \
		.types = { UKTRACE_CAT(UKTRACE_MAP, UKTRACE_N(__VA_ARGS__))(UKTRACE_IS_STRING, ##__VA_ARGS__) }, \
		.name = #tpname,                                                                      \
		.format = fmt,                                                                        \
	};                                                                                            \
	static struct uktrace_point uktrace_point_##tpname                                            \
		__attribute__((used, section("uktrace_points"))) = {                                  \
		.magic = UKTRACE_POINT_MAGIC,                                                         \
		.enabled = UKTRACE_POINT_ENABLED,                                                     \
		.frames = UKTRACE_POINT_FRAMES,                                                       \
		.cookie = (uint64_t)&uktrace_def_##tpname,                                            \
	};                                                                                            \
	static inline void function(UKTRACE_CAT(UKTRACE_PARAMS, UKTRACE_N(__VA_ARGS__))(__VA_ARGS__)) \
	{                                                                                             \
		struct uktrace_cursor cursor;                                                         \
		uint32_t size = 0;                                                                    \
		if (!uktrace_enabled(&uktrace_point_##tpname))                                        \
			return;                                                                       \
		UKTRACE_CAT(UKTRACE_MEASURE, UKTRACE_N(__VA_ARGS__))                                  \
		if (!uktrace_begin(&cursor, &uktrace_point_##tpname, size))                           \
			return;                                                                       \
		UKTRACE_CAT(UKTRACE_SAVE, UKTRACE_N(__VA_ARGS__))                                     \
		uktrace_end(&cursor);                                                                 \
	}

#endif
