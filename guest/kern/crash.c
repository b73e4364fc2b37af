/* SPDX-License-Identifier: BSD-3-Clause */
/* The generation C screen, and the end of the machine. */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <guest/crash_arch.h>
#include <guest/string.h>
#include <uk/sched.h>

enum crash_generation crash_generation;
__u8 _uk_crash_explicit;
volatile bool crash_halted;
static bool exit_after;

#define STACK_WORDS 8
#define MAX_FRAMES 64

void crash_init(const char *cmdline)
{
	char v[16];

	if (!cmdline_value(cmdline, "crash", v, sizeof(v)))
		return;
	for (const char *p = v; *p;) {
		size_t n = 0;

		while (p[n] && p[n] != ',')
			n++;
		if (n == 1 && *p == 'c')
			crash_generation = CRASH_GEN_C;
		else if (n == 4 && !strncmp(p, "exit", 4))
			exit_after = true;
		p += p[n] ? n + 1 : n;
	}
}

void crash_line(const char *fmt, ...)
{
	char line[192], body[160];
	__nsec now = ukplat_monotonic_clock();
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "[%5u.%06u] CRIT: %s", (unsigned int)(now / 1000000000),
		     (unsigned int)(now / 1000 % 1000000), body);
	console_write(line, MIN((size_t)n, sizeof(line) - 1));
}

static void dump_stack_c(__vaddr_t sp)
{
	crash_line("Stack:\n");
	for (unsigned int i = 0; i < STACK_WORDS; i++, sp += 8) {
		const __u8 *b = (const __u8 *)sp;
		char text[9] = { 0 };

		if (!arch_mapped(sp, 8, false)) {
			crash_line(" %016lx  Bad stack address\n", sp);
			return;
		}
		for (unsigned int k = 0; k < 8; k++)
			text[k] = b[k] >= 0x20 && b[k] < 0x7f ? (char)b[k] : '.';
		crash_line(" %08lx  %02x %02x %02x %02x %02x %02x %02x %02x  |%s|\n", sp, b[0], b[1], b[2], b[3], b[4],
			   b[5], b[6], b[7], text);
	}
}

static void dump_trace_c(const struct __regs *regs)
{
	__vaddr_t fp = regs_fp(regs), ret;

	crash_line("Call Trace:\n");
	crash_line(" [0x%016lx]\n", regs_pc(regs));
	for (unsigned int i = 0; i < MAX_FRAMES && fp; i++) {
		if (!arch_frame_next(fp, &fp, &ret)) {
			crash_line(" Bad frame pointer\n");
			return;
		}
#ifdef __x86_64__
		if (ret)
			ret--;
#endif
		crash_line(" [0x%016lx]\n", ret);
	}
}

void _uk_crash(struct __regs *regs, struct uk_crash_descr *descr)
{
	const struct uk_thread *t = uk_thread_current();

	(void)descr; /* for the debugger: why, as numbers */
	crash_line("Unikraft Crash - %s (%s)\n", UK_CODENAME, UK_FULLVERSION);
	if (t)
		crash_line("Thread \"%s\"@%p\n", t->name, (const void *)t);
	crash_line("    _      \n");
	crash_line("  cx xo    \n");
	crash_line("  (|O|)/V  \n");
	crash_line("           \n");
	crash_line("Registers:\n");
	crash_dump_regs_c(regs);
	dump_stack_c(regs_sp(regs));
	dump_trace_c(regs);
	ukplat_crash();
}

static void __noreturn end(int status)
{
	app_counters();
	crash_halted = true;
	uk_pr_info("Unikraft halted\n");
	if (exit_after)
		arch_poweroff(status);
	arch_halt();
}

void ukplat_terminate(void)
{
	uk_print_bust_locks();
	end(1);
}

void ukplat_crash(void) { end(1); }
