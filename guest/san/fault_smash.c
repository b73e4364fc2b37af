/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=smash: a header line is copied into a buffer that is too short for it,
 * by just the canary, so that the stack can still be walked. san=deep: the
 * line is longer and takes the return address along.
 */
#include <guest/string.h>

#include "san.h"

static const char header[] = "Host: 192.168.100.42";
static const char long_header[] = "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7";

static __noinline size_t header_copy(char *to, const char *from)
{
	size_t n = 0;

	while ((to[n] = from[n]))
		n++;
	return n;
}

static __noinline size_t header_parse(const char *line)
{
	char name[16];
	size_t n = header_copy(name, line);

	barrier();
	return n + (size_t)name[0];
}

static __noinline size_t request_headers(const char *text)
{
	size_t n = header_parse(text);

	barrier();
	return n + 1;
}

void fault_smash(void)
{
	volatile size_t n = request_headers(strcmp(san_flavour, "deep") ? header : long_header);

	(void)n;
}
