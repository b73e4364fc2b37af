/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that may not be there, page by page: the arch asks the page tables
 * before it touches one, so no fault is taken inside the stub.
 */
#include "stub.h"

#define PAGE 4096u

static size_t to_page_end(uint64_t addr, size_t len)
{
	size_t room = PAGE - (size_t)(addr & (PAGE - 1));

	return len < room ? len : room;
}

/* How many bytes were read before the first hole. */
size_t stub_read_memory(void *to, uint64_t from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = to_page_end(from + done, len - done);

		if (!stub_page_read((char *)to + done, from + done, n))
			break;
		done += n;
		if (from + done < from) /* behind the top page */
			break;
	}
	return done;
}

/* How many bytes were written before the first hole. */
size_t stub_write_memory(uint64_t to, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = to_page_end(to + done, len - done);

		if (!stub_page_write(to + done, (const char *)from + done, n))
			break;
		done += n;
		if (to + done < to)
			break;
	}
	return done;
}
