/* SPDX-License-Identifier: BSD-3-Clause */
/* Build-time choices. A Makefile variant overrides one with -DNAME=VALUE. */
#ifndef GUEST_CONFIG_H
#define GUEST_CONFIG_H

#define CONFIG_LCPU_MAXCOUNT 4

#ifndef CONFIG_TRACE_BUFFER_SIZE
#define CONFIG_TRACE_BUFFER_SIZE (1024 * 1024)
#endif

/* A stack is one buddy chunk: the lowest page is the guard, the rest is stack. */
#define CONFIG_STACK_ORDER 3
#define CONFIG_STACK_SIZE ((PAGE_SIZE << CONFIG_STACK_ORDER) - PAGE_SIZE)

#define CONFIG_TICK_HZ 100
#define CONFIG_CONSOLE_RING_SIZE 16384
#define CONFIG_RAM_MAX (256UL << 20)

#define UK_CODENAME "Calypso"
#define UK_FULLVERSION "0.17.0~ukguest"

#endif
