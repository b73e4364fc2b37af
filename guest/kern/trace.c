/* SPDX-License-Identifier: BSD-3-Clause */
/* The trace buffer: fills once and stops. A reader drains it by resetting writep and free. */
#include <guest/arch.h>
#include <guest/cmdline.h>
#include <uk/spinlock.h>
#include <uk/trace.h>

char uk_trace_buffer[CONFIG_TRACE_BUFFER_SIZE] __align(8);
size_t uk_trace_buffer_free = sizeof(uk_trace_buffer);
char *uk_trace_buffer_writep = uk_trace_buffer;
bool uk_trace_enabled;
struct uk_trace_stats uk_trace_stats;
static __spinlock trace_lock;

static const char format_version[] __used __attribute__((section(__UKT_SECTION(".uk_trace_keyvals")))) =
	"format_version = 1";

void uk_trace_init(const char *cmdline)
{
	char v[8];

	uk_trace_enabled = !(cmdline_value(cmdline, "trace", v, sizeof(v)) && !strcmp(v, "off"));
}

bool uk_trace_begin(struct uk_trace_cursor *c)
{
	if (!uk_trace_enabled)
		return false;
	ukplat_spin_lock_irqsave(&trace_lock, c->irqf);
	if (uk_trace_buffer_free < sizeof(*c->head)) {
		uk_trace_stats.dropped++;
		ukplat_spin_unlock_irqrestore(&trace_lock, c->irqf);
		return false;
	}
	c->head = (struct uk_tracepoint_header *)uk_trace_buffer_writep;
	c->head->magic = 0;
	c->p = (char *)(c->head + 1);
	c->left = uk_trace_buffer_free - sizeof(*c->head);
	c->overflow = false;
	return true;
}

void uk_trace_bytes(struct uk_trace_cursor *c, const void *value, size_t size)
{
	if (size > c->left) {
		c->overflow = true;
		c->left = 0;
		return;
	}
	memcpy(c->p, value, size);
	c->p += size;
	c->left -= size;
}

void uk_trace_string(struct uk_trace_cursor *c, const char *s)
{
	__u8 len = 0;

	while (len < UK_TRACE_MAX_STRLEN && s[len])
		len++;
	uk_trace_bytes(c, &len, 1);
	uk_trace_bytes(c, s, len);
}

void uk_trace_end(struct uk_trace_cursor *c, __u64 cookie)
{
	if (c->overflow) {
		uk_trace_buffer_free = 0; /* full, for good */
		uk_trace_stats.dropped++;
	} else {
		c->head->size = (__u32)(c->p - (char *)(c->head + 1));
		c->head->time = ukplat_monotonic_clock();
		c->head->cookie = cookie;
		barrier();
		c->head->magic = UK_TP_HEADER_MAGIC;
		uk_trace_buffer_writep = c->p;
		uk_trace_buffer_free = c->left;
		uk_trace_stats.written++;
	}
	ukplat_spin_unlock_irqrestore(&trace_lock, c->irqf);
}
