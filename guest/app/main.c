/* SPDX-License-Identifier: BSD-3-Clause */
/* The application's start, its reports and its end. */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <uk/trace.h>

#include "app.h"

static unsigned long exit_after; /* requests; 0: never */
static bool report_ticks;
__u64 secondary_rounds[CONFIG_LCPU_MAXCOUNT];

void app_counters(void)
{
	printf("ukguest: %lu requests served, %lu failed, %lu trace records written, %lu dropped\n", server.stats.served,
	       server.stats.failed, uk_trace_stats.written, uk_trace_stats.dropped);
}

static void start_threads(const char *cmdline)
{
	static const char *const names[WORKERS] = { "worker-1", "worker-2", "worker-3" };
	struct uk_sched *s = uk_thread_current()->sched;

	for (unsigned long i = 0; i < WORKERS; i++)
		server.workers[i] = uk_sched_thread_create(s, worker_main, (void *)i, names[i]);
	uk_sched_thread_create(s, disk_main, NULL, "disk");
	uk_sched_thread_create(s, acceptor_main, &server, "acceptor");
	if (cmdline_has(cmdline, "burn"))
		uk_sched_thread_create(s, burn_main, NULL, "burner");
}

static __noinline void report(unsigned int round)
{
	printf("ukguest: up %lu ms, %lu requests served\n", ukplat_monotonic_clock() / 1000000, server.stats.served);
	for (unsigned int i = 0; report_ticks && i < lcpu_count; i++)
		uk_pr_info("round %u: CPU %u took %lu ticks, %lu interrupts\n", round, i, lcpus[i].ticks, lcpus[i].irqs);
	for (unsigned int i = 1; round == 0 && i < lcpu_count; i++)
		printf("ukguest: cpu%u-worker did %lu rounds\n", i, secondary_rounds[i]);
}

void app_main(const char *cmdline)
{
	exit_after = cmdline_number(cmdline, "exit", 0);
	report_ticks = cmdline_has(cmdline, "ticks");
	server.config.rate = (unsigned int)MAX(cmdline_number(cmdline, "rate", server.config.rate), 1);
	queue_init(&server.queue);
	cache_init();
	disk_init();
	faults_init(cmdline);
	trouble_init(cmdline);
	start_threads(cmdline);
	for (unsigned int round = 0;; round++) {
		for (unsigned int i = 0; i < (round ? 100 : 25); i++) {
			uk_sched_thread_sleep(10000000);
			if (exit_after && server.stats.served >= exit_after) {
				app_counters();
				arch_poweroff(0);
			}
		}
		report(round);
	}
}

static __noinline void secondary_round(__u64 *rounds)
{
	(*rounds)++;
	uk_sched_thread_sleep(5000000);
}

static void __noreturn secondary_worker(void *arg)
{
	for (;;)
		secondary_round(arg);
}

void app_secondary(struct lcpu *self)
{
	static const char *const names[CONFIG_LCPU_MAXCOUNT] = { "", "cpu1-worker", "cpu2-worker", "cpu3-worker" };

	uk_sched_thread_create(self->sched, secondary_worker, &secondary_rounds[self->idx], names[self->idx]);
}
