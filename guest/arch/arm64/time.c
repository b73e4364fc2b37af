/* SPDX-License-Identifier: BSD-3-Clause */
/* Time from the generic timer's virtual counter. */
#include <guest/arch.h>
#include <guest/mathmul.h>

#include "arm64.h"

static __u64 counter_boot, counter_mult, counter_hz;

static __u64 counter(void)
{
	isb();
	return sysreg_read(cntvct_el0);
}

void arm64_time_init(void)
{
	counter_hz = sysreg_read(cntfrq_el0);
	counter_mult = mult_from_hz(counter_hz);
	counter_boot = counter();
}

__nsec ukplat_monotonic_clock(void) { return mul_shift32(counter() - counter_boot, counter_mult); }

void arch_timer_set(__nsec deadline)
{
	__nsec now = ukplat_monotonic_clock();
	__u64 ns = deadline > now ? MIN(deadline - now, 1000000000) : 0;

	sysreg_write(cntv_tval_el0, ns * counter_hz / 1000000000);
	sysreg_write(cntv_ctl_el0, 1);
	isb();
}
