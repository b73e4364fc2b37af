/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of the guest's own uk/trace.h: the same tracepoints, written to uktrace's rings. */
#ifndef UK_TRACE_H
#define UK_TRACE_H

#include <guest/types.h>
#include <uktrace/uktrace.h>

/* This guest names the function after the tracepoint; Unikraft gives the function's name. */
#define UK_TRACEPOINT(tpname, fmt, ...) UKTRACE_POINT(trace_##tpname, tpname, fmt, ##__VA_ARGS__)

/* What happened so far, for the last line on the console. */
struct uktrace_totals {
	__u64 written;
	__u64 dropped;
};
struct uktrace_totals uktrace_guest_totals(void);
#define uk_trace_stats uktrace_guest_totals()

void uktrace_guest_init(const char *cmdline);
#define uk_trace_init uktrace_guest_init

#endif
