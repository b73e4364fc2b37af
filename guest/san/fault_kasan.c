/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=kasan: a reply is one byte longer than its buffer. san=uaf: it is sent
 * after it was freed. san=partial: its last, unaligned byte is overrun.
 */
#include <guest/string.h>
#include <uk/alloc.h>

#include "san.h"

static __noinline void reply_fill(char *reply, size_t len)
{
	for (size_t i = 0; i < len; i++)
		reply[i] = 'x';
}

static __noinline char reply_send(const char *reply, size_t len)
{
	char sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += reply[i];
	return sum;
}

static __noinline char reply_freed(size_t len)
{
	char *reply = uk_malloc(uk_alloc_get_default(), len), sum;

	reply_fill(reply, len);
	uk_free(uk_alloc_get_default(), reply);
	sum = reply_send(reply, len);
	barrier();
	return sum;
}

static __noinline char reply_overrun(size_t len)
{
	char *reply = uk_malloc(uk_alloc_get_default(), len), sum;

	reply_fill(reply, len + 1);
	sum = reply_send(reply, len);
	uk_free(uk_alloc_get_default(), reply);
	return sum;
}

static __noinline char request_reply(void)
{
	char sum;

	if (!strcmp(san_flavour, "uaf"))
		sum = reply_freed(64);
	else
		sum = reply_overrun(!strcmp(san_flavour, "partial") ? 61 : 64);
	barrier();
	return sum;
}

void fault_kasan(void)
{
	volatile char sum = request_reply();

	(void)sum;
}
