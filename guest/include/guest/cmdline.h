/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel command line: blank-separated words KEY or KEY=VALUE. The first match wins. */
#ifndef GUEST_CMDLINE_H
#define GUEST_CMDLINE_H

#include <guest/types.h>

bool cmdline_has(const char *line, const char *key);                                  /* KEY or KEY=anything */
bool cmdline_value(const char *line, const char *key, char *out, size_t size);        /* KEY=VALUE, cut to size-1 */
unsigned long cmdline_number(const char *line, const char *key, unsigned long other); /* decimal or 0x hex */

#endif
