/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracepoints. UK_TRACEPOINT(vfs_open, "\"%s\" 0x%x", const char *, int) makes the function trace_vfs_open(path, flags)
 * and one entry in the section .uk_tracepoints_list, which is not loaded: only NAME.dbg has it.
 *
 * Definition, packed, little-endian: u32 magic "TPde", u32 size, u64 cookie (its own link-time address), u8 args_nr, u8 name_len,
 * u8 format_len, u8 sizes[args_nr], u8 types[args_nr] (0 int, 1 string), char name[], char format[]; lengths count the NUL.
 * Record, packed: u32 magic "TRhd" (written last), u32 bytes of arguments, u64 ns since boot, u64 cookie (run-time address),
 * then the arguments: ints raw, a string as u8 length (at most 80) and its bytes.
 */
#ifndef UK_TRACE_H
#define UK_TRACE_H

#include <guest/config.h>
#include <guest/string.h>
#include <guest/types.h>

#define UK_TP_HEADER_MAGIC 0x64685254 /* "TRhd" */
#define UK_TP_DEF_MAGIC 0x65645054    /* "TPde" */
#define UK_TRACE_MAX_STRLEN 80

enum __uk_trace_arg_type { __UK_TRACE_ARG_INT = 0, __UK_TRACE_ARG_STRING = 1 };

struct uk_tracepoint_header {
	__u32 magic;
	__u32 size;
	__u64 time;
	__u64 cookie;
} __packed;

extern char uk_trace_buffer[CONFIG_TRACE_BUFFER_SIZE];
extern size_t uk_trace_buffer_free;
extern char *uk_trace_buffer_writep;
extern bool uk_trace_enabled;

/* What happened so far, for the last line on the console. */
struct uk_trace_stats {
	__u64 written;
	__u64 dropped;
};
extern struct uk_trace_stats uk_trace_stats;

void uk_trace_init(const char *cmdline);

/* One record being written: the buffer is locked between begin and end. */
struct uk_trace_cursor {
	struct uk_tracepoint_header *head;
	char *p;
	size_t left;
	unsigned long irqf;
	bool overflow;
};

bool uk_trace_begin(struct uk_trace_cursor *c);
void uk_trace_bytes(struct uk_trace_cursor *c, const void *value, size_t size);
void uk_trace_string(struct uk_trace_cursor *c, const char *s);
void uk_trace_end(struct uk_trace_cursor *c, __u64 cookie);

#define __UKT_IS_STRING(t) _Generic((t)0, char * : 1, const char * : 1, default : 0)
#define __UKT_PUT(c, v)                                                                               \
	do {                                                                                          \
		if (_Generic((v), char * : 1, const char * : 1, default : 0))                         \
			uk_trace_string((c), (const char *)(__uptr)(v));                              \
		else                                                                                  \
			uk_trace_bytes((c), &(v), sizeof(v));                                         \
	} while (0)

#define __UKT_N(...) __UKT_N_(0, ##__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0)
#define __UKT_N_(_0, _1, _2, _3, _4, _5, _6, _7, n, ...) n
#define __UKT_CAT(a, b) __UKT_CAT_(a, b)
#define __UKT_CAT_(a, b) a##b

#define __UKT_PARAMS0() void
#define __UKT_PARAMS1(a) a a1
#define __UKT_PARAMS2(a, b) a a1, b a2
#define __UKT_PARAMS3(a, b, c) a a1, b a2, c a3
#define __UKT_PARAMS4(a, b, c, d) a a1, b a2, c a3, d a4
#define __UKT_PARAMS5(a, b, c, d, e) a a1, b a2, c a3, d a4, e a5
#define __UKT_PARAMS6(a, b, c, d, e, f) a a1, b a2, c a3, d a4, e a5, f a6
#define __UKT_PARAMS7(a, b, c, d, e, f, g) a a1, b a2, c a3, d a4, e a5, f a6, g a7

#define __UKT_MAP0(m)
#define __UKT_MAP1(m, a) m(a)
#define __UKT_MAP2(m, a, b) m(a), m(b)
#define __UKT_MAP3(m, a, ...) m(a), __UKT_MAP2(m, __VA_ARGS__)
#define __UKT_MAP4(m, a, ...) m(a), __UKT_MAP3(m, __VA_ARGS__)
#define __UKT_MAP5(m, a, ...) m(a), __UKT_MAP4(m, __VA_ARGS__)
#define __UKT_MAP6(m, a, ...) m(a), __UKT_MAP5(m, __VA_ARGS__)
#define __UKT_MAP7(m, a, ...) m(a), __UKT_MAP6(m, __VA_ARGS__)

#define __UKT_SAVE0(c)
#define __UKT_SAVE1(c) __UKT_PUT(c, a1);
#define __UKT_SAVE2(c) __UKT_SAVE1(c) __UKT_PUT(c, a2);
#define __UKT_SAVE3(c) __UKT_SAVE2(c) __UKT_PUT(c, a3);
#define __UKT_SAVE4(c) __UKT_SAVE3(c) __UKT_PUT(c, a4);
#define __UKT_SAVE5(c) __UKT_SAVE4(c) __UKT_PUT(c, a5);
#define __UKT_SAVE6(c) __UKT_SAVE5(c) __UKT_PUT(c, a6);
#define __UKT_SAVE7(c) __UKT_SAVE6(c) __UKT_PUT(c, a7);

/*
 * GCC writes the section name into its assembly as it is, so the rest of the line can be ours: flags "" (not allocated), type
 * note, and a comment that swallows what GCC adds. Elsewhere the linker script makes the section non-allocated.
 */
#if defined(__clang__)
#define __UKT_SECTION(name) name
#elif defined(__x86_64__)
#define __UKT_SECTION(name) name ",\"\",@note#"
#else
#define __UKT_SECTION(name) name ",\"\",@note//"
#endif

#define UK_TRACEPOINT(tpname, fmt, ...)                                                               \
	static struct {                                                                               \
		__u32 magic;                                                                          \
		__u32 size;                                                                           \
		__u64 cookie;                                                                         \
		__u8 args_nr;                                                                         \
		__u8 name_len;                                                                        \
		__u8 format_len;                                                                      \
		__u8 sizes[__UKT_N(__VA_ARGS__)];                                                     \
		__u8 types[__UKT_N(__VA_ARGS__)];                                                     \
		char name[sizeof(#tpname)];                                                           \
		char format[sizeof(fmt)];                                                             \
	} __packed __uk_tp_##tpname __used                                                            \
		__attribute__((section(__UKT_SECTION(".uk_tracepoints_list")))) = {                   \
		.magic = UK_TP_DEF_MAGIC,                                                             \
		.size = sizeof(__uk_tp_##tpname),                                                     \
		.cookie = (__u64)&__uk_tp_##tpname,                                                   \
		.args_nr = __UKT_N(__VA_ARGS__),                                                      \
		.name_len = sizeof(#tpname),                                                          \
		.format_len = sizeof(fmt),                                                            \
		.sizes = { __UKT_CAT(__UKT_MAP, __UKT_N(__VA_ARGS__))(sizeof, ##__VA_ARGS__) },       \
		.types = { __UKT_CAT(__UKT_MAP, __UKT_N(__VA_ARGS__))(__UKT_IS_STRING, ##__VA_ARGS__) }, \
		.name = #tpname,                                                                      \
		.format = fmt,                                                                        \
	};                                                                                            \
	static inline void trace_##tpname(__UKT_CAT(__UKT_PARAMS, __UKT_N(__VA_ARGS__))(__VA_ARGS__)) \
	{                                                                                             \
		struct uk_trace_cursor c;                                                             \
		if (!uk_trace_begin(&c))                                                              \
			return;                                                                       \
		__UKT_CAT(__UKT_SAVE, __UKT_N(__VA_ARGS__))(&c)                                       \
		uk_trace_end(&c, (__u64)&__uk_tp_##tpname);                                           \
	}

#endif
