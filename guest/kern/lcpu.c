/* SPDX-License-Identifier: BSD-3-Clause */
#include <uk/lcpu.h>

struct lcpu lcpus[CONFIG_LCPU_MAXCOUNT];
unsigned int lcpu_count = 1;
