/* SPDX-License-Identifier: BSD-3-Clause */
/* Included before everything in position-independent variants: nothing goes through a GOT, which would need relocating first. */
#pragma GCC visibility push(hidden)
