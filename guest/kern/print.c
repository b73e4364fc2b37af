/* SPDX-License-Identifier: BSD-3-Clause */
/* The line envelope: [time] LEVEL: <thread> {r:ret,f:frame} [lib] <file @ line> body. */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/string.h>
#include <uk/print.h>
#include <uk/sched.h>

#define BODY_SIZE 192
#define RESET "\033[0m"

static enum uk_print_level print_level = KLVL_INFO;
static bool print_ansi;
static const char *const level_text[] = { "CRIT:", "ERR: ", "Warn:", "Info:", "dbg: " };
static const char *const level_colour[] = { "\033[1m\033[37m\033[41m", "\033[1m\033[31m", "\033[1m\033[33m",
					    "\033[1m\033[32m", "\033[1m\033[34m" };
static const char *const body_colour[] = { "\033[1m\033[31m", "", "", "", "" };

void uk_print_init(const char *cmdline)
{
	print_level = (enum uk_print_level)cmdline_number(cmdline, "loglevel", KLVL_INFO);
	print_ansi = cmdline_has(cmdline, "ansi");
}

static const char *colour(const char *c) { return print_ansi ? c : ""; }

static size_t thread_label(char *out, size_t size)
{
	const struct uk_thread *t = uk_thread_current();

	if (!t)
		return (size_t)snprintf(out, size, "<<n/a>> ");
	if (!t->name)
		return (size_t)snprintf(out, size, "<%p> ", (const void *)t);
	return (size_t)snprintf(out, size, "<%s> ", t->name);
}

struct origin {
	enum uk_print_level lvl;
	const char *lib;
	const char *file;
	unsigned int line;
	__uptr ret;
	__uptr frame;
};

static void print_line(const struct origin *o, const char *body, size_t n)
{
	char line[512], thread[48];
	__nsec now = ukplat_monotonic_clock();
	int len;

	thread_label(thread, sizeof(thread));
	len = snprintf(line, sizeof(line),
		       "%s%s[%5u.%06u] %s%s%s%s %s%s%s%s{r:%p,f:%p} %s%s[%s] %s%s<%s @ %4u> %s%s%.*s\n%s",
		       colour(RESET), colour("\033[32m"), (unsigned int)(now / 1000000000), (unsigned int)(now / 1000 % 1000000),
		       colour(RESET), colour(level_colour[o->lvl]), level_text[o->lvl], colour(RESET),
		       colour(RESET "\033[34m"), thread, colour(RESET), colour("\033[31m"), (void *)o->ret, (void *)o->frame,
		       colour(RESET), colour("\033[33m"), o->lib, colour(RESET), colour("\033[36m"), o->file, o->line,
		       colour(RESET), colour(body_colour[o->lvl]), (int)n, body, colour(RESET));
	console_write(line, MIN((size_t)len, sizeof(line) - 1));
}

__noinline void _uk_printk(enum uk_print_level lvl, const char *lib, const char *file, unsigned int line,
			   const char *fmt, ...)
{
	struct origin o = { lvl, lib, file, line, (__uptr)__builtin_return_address(0), (__uptr)__builtin_frame_address(0) };
	char body[BODY_SIZE];
	const char *p = body;
	va_list ap;

	if (lvl > print_level)
		return;
	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	do {
		size_t n = 0;

		while (p[n] && p[n] != '\n')
			n++;
		print_line(&o, p, n);
		p += n;
		if (*p == '\n')
			p++;
	} while (*p);
}
