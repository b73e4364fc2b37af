/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_TRAPREPORT_H
#define GUEST_TRAPREPORT_H

#include <guest/types.h>

/* The lines a paging kernel prints before the registers. access is "read", "write" or "exec". Boot option vmem=off: none. */
void trap_report_page_fault(__vaddr_t addr, const char *access, unsigned long code);

#endif
