/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets, exactly those of Unikraft 0.18's stub:
 *
 *   ? g G m M c C s S vCont vCont? qSupported qXfer:features qAttached
 *   QStartNoAckMode
 *
 * All else is answered by the empty packet. Where Unikraft is unusual this is
 * too: unreadable memory is an empty packet, M answers OK even if it could
 * not write, the stop reply is a bare Snn, a vCont of thread 1 is an error.
 */
#include "stub.h"

static char in[STUB_BUFFER];
static char out[STUB_BUFFER];
static unsigned char scratch[STUB_MEMORY];

/* What follows a packet's name. */
struct args {
	const char *p, *end;
};

typedef enum stub_verdict command(struct args a, struct stub_stop *stop);

/* What a handler returns once its answer is out. */
static enum stub_verdict sent(int failed)
{
	return failed ? STUB_GIVE_UP : STUB_LISTEN;
}

static int send_stop(const struct stub_stop *stop)
{
	unsigned char s = (unsigned char)stop->signal;

	out[0] = 'S';
	return stub_send(out, 1 + stub_to_hex(out + 1, &s, 1));
}

static enum stub_verdict why(struct args a, struct stub_stop *stop)
{
	(void)a;
	return sent(send_stop(stop));
}

static enum stub_verdict read_registers(struct args a, struct stub_stop *stop)
{
	size_t n = stub_registers_read(stop->regs, scratch);

	(void)a;
	return sent(stub_send(out, stub_to_hex(out, scratch, n)));
}

static enum stub_verdict write_registers(struct args a, struct stub_stop *stop)
{
	int n = stub_from_hex(scratch, sizeof scratch, a.p, (size_t)(a.end - a.p));

	if (n < 0 || stub_registers_write(stop->regs, scratch, (size_t)n) < 0)
		return sent(stub_send_error(STUB_EINVAL));
	return sent(stub_send_string("OK"));
}

/* addr,length and then the byte last, or the end of the packet if it is 0. */
static int range(struct args *a, uint64_t *addr, uint64_t *len, char last)
{
	*addr = stub_number(&a->p, a->end);
	if (a->p == a->end || *a->p++ != ',')
		return -1;
	*len = stub_number(&a->p, a->end);
	if (!last)
		return a->p == a->end ? 0 : -1;
	return a->p != a->end && *a->p++ == last ? 0 : -1;
}

static enum stub_verdict read_memory(struct args a, struct stub_stop *stop)
{
	uint64_t addr, len;

	(void)stop;
	if (range(&a, &addr, &len, 0))
		return sent(stub_send_error(STUB_EINVAL));
	if (len > STUB_MEMORY)
		len = STUB_MEMORY;
	len = stub_read_memory(scratch, addr, len);
	return sent(stub_send(out, stub_to_hex(out, scratch, len)));
}

static enum stub_verdict write_memory(struct args a, struct stub_stop *stop)
{
	uint64_t addr, len;
	int n;

	(void)stop;
	if (range(&a, &addr, &len, ':'))
		return sent(stub_send_error(STUB_EINVAL));
	n = stub_from_hex(scratch, sizeof scratch, a.p, (size_t)(a.end - a.p));
	if (n < 0)
		return sent(stub_send_error(STUB_EINVAL));
	stub_write_memory(addr, scratch, len < (uint64_t)n ? len : (uint64_t)n);
	return sent(stub_send_string("OK"));
}

/* [addr] at the end of c, s, C and S. */
static enum stub_verdict go(struct args a, struct stub_stop *stop,
			    enum stub_verdict how)
{
	uint64_t pc;

	if (a.p == a.end)
		return how;
	pc = stub_number(&a.p, a.end);
	if (a.p != a.end)
		return sent(stub_send_error(STUB_EINVAL));
	stub_set_pc(stop->regs, pc);
	return how;
}

/* sig[;addr]: there is nobody to give a signal to. */
static enum stub_verdict go_signal(struct args a, struct stub_stop *stop,
				   enum stub_verdict how)
{
	stub_number(&a.p, a.end);
	if (a.p != a.end && *a.p++ != ';')
		return sent(stub_send_error(STUB_EINVAL));
	return go(a, stop, how);
}

static enum stub_verdict cont(struct args a, struct stub_stop *stop)
{
	return go(a, stop, STUB_CONTINUE);
}

static enum stub_verdict step(struct args a, struct stub_stop *stop)
{
	return go(a, stop, STUB_STEP);
}

static enum stub_verdict cont_signal(struct args a, struct stub_stop *stop)
{
	return go_signal(a, stop, STUB_CONTINUE);
}

static enum stub_verdict step_signal(struct args a, struct stub_stop *stop)
{
	return go_signal(a, stop, STUB_STEP);
}

static int consume(struct args *a, const char *prefix)
{
	const char *p = a->p;

	for (; *prefix; prefix++, p++)
		if (p == a->end || *p != *prefix)
			return 0;
	a->p = p;
	return 1;
}

static enum stub_verdict vcont_ask(struct args a, struct stub_stop *stop)
{
	(void)a;
	(void)stop;
	return sent(stub_send_string("vCont;c;C;s;S"));
}

/* One action, for thread 0 (any) or -1 (all) or for no thread at all. */
static enum stub_verdict vcont(struct args a, struct stub_stop *stop)
{
	enum stub_verdict how;

	(void)stop;
	if (consume(&a, ";c")) {
		how = STUB_CONTINUE;
	} else if (consume(&a, ";C")) {
		stub_number(&a.p, a.end);
		how = STUB_CONTINUE;
	} else if (consume(&a, ";s")) {
		how = STUB_STEP;
	} else if (consume(&a, ";S")) {
		stub_number(&a.p, a.end);
		how = STUB_STEP;
	} else {
		return sent(stub_send_error(STUB_EINVAL));
	}
	if (a.p == a.end || consume(&a, ":0") || consume(&a, ":-1"))
		return how;
	return sent(stub_send_error(STUB_EINVAL));
}

static enum stub_verdict supported(struct args a, struct stub_stop *stop)
{
	(void)a;
	(void)stop;
	stub_start_session();
	return sent(stub_send_string(
		"PacketSize=800;qXfer:features:read+;QStartNoAckMode+"));
}

static enum stub_verdict attached(struct args a, struct stub_stop *stop)
{
	(void)stop;
	if (a.p != a.end)
		return sent(stub_send_error(STUB_EINVAL));
	return sent(stub_send_string("1"));
}

/* The OK is still acknowledged; silence begins after it. */
static enum stub_verdict no_acks(struct args a, struct stub_stop *stop)
{
	int failed = stub_send_string("OK");

	(void)a;
	(void)stop;
	if (!failed)
		stub_stop_acks();
	return sent(failed);
}

/* target.xml has none of } # $ *, so no byte of it needs an escape. */
static enum stub_verdict features(struct args a, struct stub_stop *stop)
{
	uint64_t offset, len, size = 0;

	(void)stop;
	if (!consume(&a, "target.xml:") || range(&a, &offset, &len, 0))
		return sent(stub_send_error(0));
	while (stub_target_xml[size])
		size++;
	if (offset >= size)
		return sent(stub_send_string("l"));
	if (len > size - offset)
		len = size - offset;
	if (len > sizeof out - 1)
		len = sizeof out - 1;
	out[0] = 'm';
	for (uint64_t i = 0; i < len; i++)
		out[1 + i] = stub_target_xml[offset + i];
	return sent(stub_send(out, 1 + len));
}

/* The longest name first where one is the beginning of another. */
static const struct {
	const char *name;
	command *run;
} commands[] = {
	{"?", why},
	{"g", read_registers},
	{"G", write_registers},
	{"m", read_memory},
	{"M", write_memory},
	{"c", cont},
	{"C", cont_signal},
	{"s", step},
	{"S", step_signal},
	{"vCont?", vcont_ask},
	{"vCont", vcont},
	{"qSupported", supported},
	{"qXfer:features:read:", features},
	{"qAttached", attached},
	{"QStartNoAckMode", no_acks},
};

static enum stub_verdict run(size_t len, struct stub_stop *stop)
{
	struct args a = {in, in + len};

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (consume(&a, commands[i].name))
			return commands[i].run(a, stop);
	return sent(stub_send("", 0));
}

/* Tells the stop, then serves the client until it lets the guest go. */
enum stub_verdict stub_listen(struct stub_stop *stop)
{
	enum stub_verdict v;

	if (send_stop(stop))
		return STUB_GIVE_UP;
	do {
		int n = stub_receive(in, sizeof in);

		if (n < 0)
			return STUB_GIVE_UP;
		v = n ? run((size_t)n, stop) : STUB_LISTEN;
	} while (v == STUB_LISTEN);
	return v;
}
