/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault=ubsan: arithmetic on a hostile request overflows, indexes behind a
 * table and ends in a store through a null pointer. UBSan tells each and goes
 * on, so the last one is a real trap.
 *
 * The cfi images compile this file with clang's -fsanitize-trap: there the
 * first of them traps at once, with the kind of check in the instruction.
 */
#include "san.h"

static volatile int content_length = 0x7fffffff;
static volatile int chunk_bits = 33;
static volatile int slot = 9;
static volatile int *volatile counter;

static __noinline int body_size(int length)
{
	return length + 3;
}

static __noinline int chunk_size(int length)
{
	return body_size(length) + (1 << chunk_bits);
}

static __noinline int slot_of(int n)
{
	int table[4] = {1, 2, 3, 4};

	barrier();
	return table[n];
}

static __noinline void request_account(int bytes)
{
	*counter = bytes;
}

static __noinline void request_body(void)
{
	int bytes = chunk_size(content_length);

	request_account(bytes + slot_of(slot));
	barrier();
}

void fault_ubsan(void)
{
	request_body();
	barrier();
}
