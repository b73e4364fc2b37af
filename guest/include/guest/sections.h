/* SPDX-License-Identifier: BSD-3-Clause */
/* The image's extents, from the linker script. Each is page aligned. */
#ifndef GUEST_SECTIONS_H
#define GUEST_SECTIONS_H

extern char _text[], _etext[], _rodata[], _erodata[], _data[], _end[];

#endif
