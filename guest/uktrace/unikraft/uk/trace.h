/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of ukdebug's uk/trace.h: the same tracepoints, under the same conditions, written to uktrace's rings. */
#ifndef _UK_TRACE_H_
#define _UK_TRACE_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uk/arch/lcpu.h>
#include <uk/essentials.h>
#include <uk/plat/lcpu.h>
#include <uk/plat/time.h>

#define UKTRACE_CPUS CONFIG_UKPLAT_LCPU_MAXCOUNT
#include <uktrace/uktrace.h>

/* The plain buffer stays, empty: ukdebug's trace.c defines it. */
extern size_t uk_trace_buffer_free;
extern char *uk_trace_buffer_writep;

#if defined(CONFIG_LIBUKDEBUG_TRACEPOINTS) && (defined(UK_DEBUG_TRACE) || defined(CONFIG_LIBUKDEBUG_ALL_TRACEPOINTS))
#define UK_TRACEPOINT(tpname, fmt, ...) UKTRACE_POINT(tpname, tpname, fmt, ##__VA_ARGS__)
#else
#define UK_TRACEPOINT(tpname, fmt, ...)                                                               \
	static inline void tpname(UKTRACE_CAT(UKTRACE_PARAMS, UKTRACE_N(__VA_ARGS__))(__VA_ARGS__))   \
	{                                                                                             \
		UKTRACE_CAT(UKTRACE_UNUSED, UKTRACE_N(__VA_ARGS__))                                   \
	}
#endif

#endif
