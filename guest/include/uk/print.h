/* SPDX-License-Identifier: BSD-3-Clause */
/* Console output. uk_pr_* lines carry Unikraft's envelope; printf is the application's plain output. */
#ifndef UK_PRINT_H
#define UK_PRINT_H

#include <guest/types.h>

enum uk_print_level { KLVL_CRIT, KLVL_ERR, KLVL_WARN, KLVL_INFO, KLVL_DEBUG };

#ifndef __LIBNAME__
#define __LIBNAME__ "libkvmplat"
#endif

int vsnprintf(char *out, size_t size, const char *fmt, va_list ap);
int snprintf(char *out, size_t size, const char *fmt, ...) __printf(3, 4);
int printf(const char *fmt, ...) __printf(1, 2);

/* A body of more than 191 bytes is cut, as in Unikraft. Each of its lines gets the whole prefix. */
void _uk_printk(enum uk_print_level lvl, const char *lib, const char *file, unsigned int line, const char *fmt, ...)
	__printf(5, 6);

#define uk_printk(lvl, ...) _uk_printk((lvl), __LIBNAME__, __FILE_NAME__, __LINE__, __VA_ARGS__)
#define uk_pr_crit(...) uk_printk(KLVL_CRIT, __VA_ARGS__)
#define uk_pr_err(...) uk_printk(KLVL_ERR, __VA_ARGS__)
#define uk_pr_warn(...) uk_printk(KLVL_WARN, __VA_ARGS__)
#define uk_pr_info(...) uk_printk(KLVL_INFO, __VA_ARGS__)
#define uk_pr_debug(...) uk_printk(KLVL_DEBUG, __VA_ARGS__)

/* Options of the boot line: levels above `loglevel` are dropped, `ansi` colours the envelope. */
void uk_print_init(const char *cmdline);
/* The crashing CPU takes the console for itself: locks held by others are ignored from now on. */
void uk_print_bust_locks(void);
void console_write(const char *s, size_t n);

/* What was written last, for dmesg. Byte i of the output is data[i % size]; the next one goes to index written % size. */
struct uk_console_ring {
	__u64 written; /* bytes ever written */
	__u32 size;
	__u32 lines;
	char data[];
};
extern struct uk_console_ring *uk_console_ring;

#endif
