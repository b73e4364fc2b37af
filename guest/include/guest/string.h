/* SPDX-License-Identifier: BSD-3-Clause */
/* The few string functions the guest needs (the compiler emits calls of the mem* ones). */
#ifndef GUEST_STRING_H
#define GUEST_STRING_H

#include <guest/types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
size_t strlcpy(char *dst, const char *src, size_t size); /* returns strlen(src) */

#endif
