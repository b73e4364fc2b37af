/* SPDX-License-Identifier: BSD-3-Clause */
/* Trouble that kills nobody at once: a disk that has become slow, requests that are never freed. */
#include <guest/cmdline.h>

#include "app.h"

static __nsec slow_by;
static unsigned long leak_every, ended; /* requests; 0: none is leaked */

void trouble_init(const char *cmdline)
{
	slow_by = cmdline_number(cmdline, "slow", 0) * 1000000;
	leak_every = cmdline_number(cmdline, "leak", 0);
}

__nsec trouble_delay(void) { return slow_by; }

bool trouble_leaks(void) { return leak_every && ++ended % leak_every == 0; }
