/* SPDX-License-Identifier: BSD-3-Clause */
/* Time from the TSC, whose rate is measured once against the PIT (channel 2, 10 ms). */
#include <guest/arch.h>
#include <guest/mathmul.h>

#include "x86.h"

#define PIT_HZ 1193182
#define CALIBRATION_TICKS (PIT_HZ / 100)
#define CALIBRATION_TRIES 100000000

static __u64 tsc_boot;
static __u64 tsc_mult;

void x86_time_init(void)
{
	__u64 start, end;
	unsigned int tries = CALIBRATION_TRIES;

	outb(0x61, (inb(0x61) & ~2u) | 1); /* gate on, speaker off */
	outb(0x43, 0xb0);                  /* channel 2, count down once */
	outb(0x42, CALIBRATION_TICKS & 0xff);
	outb(0x42, CALIBRATION_TICKS >> 8);
	start = rdtsc();
	while (!(inb(0x61) & 0x20) && --tries)
		;
	end = rdtsc();
	tsc_boot = start;
	tsc_mult = mult_from_hz(MAX((end - start) * 100, 1000000));
}

__nsec ukplat_monotonic_clock(void) { return mul_shift32(rdtsc() - tsc_boot, tsc_mult); }

/*
 * The PIT fires within 50 ms, and again until it is set anew: an edge that is lost costs time only. Other CPUs have a local timer.
 * Not within less than 1 ms: QEMU serves a timer that has expired again meanwhile before it lets go of its lock, so on a loaded
 * host a period of a few ticks keeps it busy for ever, and nothing else runs, neither this CPU nor the monitor.
 */
void arch_timer_set(__nsec deadline)
{
	__nsec now = ukplat_monotonic_clock();
	__u64 ns = deadline > now ? MIN(deadline - now, 50000000) : 0;
	__u64 ticks = MAX(ns * PIT_HZ / 1000000000, PIT_HZ / 1000);

	if (lcpu_current()->idx)
		return;
	outb(0x43, 0x34);
	outb(0x40, (__u8)ticks);
	outb(0x40, (__u8)(ticks >> 8));
}
