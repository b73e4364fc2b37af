/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that may not be there, page by page: the page table is asked before
 * a page is touched, so no fault is taken inside the stub.
 */
#include <guest/arch.h>

#include "stub.h"

static size_t to_page_end(uint64_t addr, size_t len)
{
	size_t room = PAGE_SIZE - (size_t)(addr & (PAGE_SIZE - 1));

	return MIN(len, room);
}

/* How many bytes were read before the first hole. */
size_t stub_read_memory(void *to, uint64_t from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = from + done;
		size_t n = to_page_end(at, len - done);

		if (at < from) /* behind the top page */
			break;
		if (!arch_mapped(at, n, false) || !stub_page_read((char *)to + done, at, n))
			break;
		done += n;
	}
	return done;
}

/* How many bytes were written before the first hole. Text is written too. */
size_t stub_write_memory(uint64_t to, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = to + done;
		size_t n = to_page_end(at, len - done);

		if (at < to || !arch_mapped(at, n, false))
			break;
		stub_page_write(at, (const char *)from + done, n);
		arch_sync_icache(at, n);
		done += n;
	}
	return done;
}
