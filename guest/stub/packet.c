/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Framing of the GDB remote protocol (GDB manual, appendix E.1 "Overview"):
 * $data#sum with + and - as acknowledgements.
 *
 * The reader is as forgiving as Unikraft's and no more: what is not '$' between
 * packets is dropped; after a packet of ours exactly one byte is taken as its
 * acknowledgement, and all but '+' sends the packet again, five times more.
 */
#include "stub.h"

#define RETRIES 5
#define BREAK_IN 0x03

static int acks = 1;
static int session;
static int ignore_break_in;

static const char digits[] = "0123456789abcdef";

/* qSupported opens every session, so it also undoes a dead client's
 * QStartNoAckMode: the line itself tells of no connection. That packet was
 * then read without an acknowledgement, which the new client waits for. */
void stub_start_session(void)
{
	if (!acks)
		stub_put('+');
	session = 1;
	acks = 1;
}

void stub_stop_acks(void)
{
	acks = 0;
}

int stub_in_session(void)
{
	return session;
}

/* With break-in a 0x03 can cross a stop reply on the line; it is then no
 * refusal of that reply. */
void stub_ignore_break_in(int on)
{
	ignore_break_in = on;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t stub_to_hex(char *out, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	return len * 2;
}

/* The number of bytes decoded, or -STUB_EINVAL. */
int stub_from_hex(void *out, size_t size, const char *hex, size_t len)
{
	unsigned char *p = out;

	if (len % 2 || len / 2 > size)
		return -STUB_EINVAL;
	for (size_t i = 0; i < len; i += 2) {
		int high = digit(hex[i]), low = digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return -STUB_EINVAL;
		*p++ = (unsigned char)(high << 4 | low);
	}
	return (int)(len / 2);
}

/* Reads hexadecimal digits at *p and leaves *p behind them. */
uint64_t stub_number(const char **p, const char *end)
{
	uint64_t n = 0;
	int d;

	while (*p < end && (d = digit(**p)) >= 0) {
		n = n << 4 | (uint64_t)d;
		(*p)++;
	}
	return n;
}

static unsigned char sum(const char *data, size_t len)
{
	unsigned char s = 0;

	while (len--)
		s += (unsigned char)*data++;
	return s;
}

static void put_packet(const char *data, size_t len)
{
	unsigned char s = sum(data, len);

	stub_put('$');
	for (size_t i = 0; i < len; i++)
		stub_put(data[i]);
	stub_put('#');
	stub_put(digits[s >> 4]);
	stub_put(digits[s & 15]);
}

static int acknowledged(void)
{
	char c;

	do
		c = stub_get();
	while (ignore_break_in && c == BREAK_IN);
	return c == '+';
}

/* 0, or -1 when the client would not take the packet. */
int stub_send(const char *data, size_t len)
{
	for (int i = 0; i <= RETRIES; i++) {
		put_packet(data, len);
		if (!acks || acknowledged())
			return 0;
	}
	return -1;
}

int stub_send_string(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return stub_send(text, len);
}

int stub_send_error(int number)
{
	char e[3] = {'E', digits[number >> 4 & 15], digits[number & 15]};

	return stub_send(e, sizeof e);
}

/*
 * Console text as O packets. They are not waited for: a client that died
 * while the guest runs must not stop it. Its + is dropped by the next reader.
 */
void stub_send_console(const char *text, size_t len)
{
	char buf[1 + 2 * 64];

	buf[0] = 'O';
	while (len) {
		size_t n = len < 64 ? len : 64;

		put_packet(buf, 1 + stub_to_hex(buf + 1, text, n));
		text += n;
		len -= n;
	}
}

/* The length of the packet now in buf, or -1 if it did not fit. */
int stub_receive(char *buf, size_t size)
{
	size_t n = 0;
	int restarts = 0;

	while (stub_get() != '$')
		;
	while (n < size) {
		char c = stub_get();

		if (c == '$') {
			/* The rest of the last packet was lost on the line. */
			if (restarts++ > RETRIES)
				return -1;
			n = 0;
		} else if (c == '#') {
			int high = digit(stub_get());
			int low = digit(stub_get());

			if (!acks)
				return (int)n;
			if (high < 0 || low < 0 || (high << 4 | low) != sum(buf, n)) {
				stub_put('-');
				continue; /* until the next $ starts it again */
			}
			stub_put('+');
			return (int)n;
		} else {
			buf[n++] = c;
		}
	}
	return -1;
}
