/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the in-image GDB stub share. The rest of the guest sees
 * only include/guest/stub.h.
 *
 * packet.c    framing: $data#sum, acknowledgements, hexadecimal
 * commands.c  one function per packet, the same set as Unikraft's stub
 * stub.c      entry from the trap handler, boot options, break-in, console
 * memory.c    reading and writing memory that may not be there
 * x86_64.c, arm64.c   registers, target.xml, single step, protected pages
 */
#ifndef GUEST_STUB_STUB_H
#define GUEST_STUB_STUB_H

#include <guest/regs.h>

/* A packet, either way, and what PacketSize tells. */
#define STUB_BUFFER 2048
/* Two hexadecimal digits a byte: the most one m can answer. */
#define STUB_MEMORY (STUB_BUFFER / 2)

/* Error numbers as they go out in Enn (hexadecimal there). */
#define STUB_EINVAL 22

/* How a command ends: go on listening, give the guest back, or give up. */
enum stub_verdict {
	STUB_LISTEN = 0,
	STUB_CONTINUE = 1,
	STUB_STEP = 2,
	STUB_GIVE_UP = -1,
};

/* A stopped guest: its registers and the signal it stopped with. */
struct stub_stop {
	struct __regs *regs;
	int signal;
};

/* packet.c */
int stub_receive(char *buf, size_t size);
int stub_send(const char *data, size_t len);
int stub_send_string(const char *text);
int stub_send_error(int number);
void stub_send_console(const char *text, size_t len);
void stub_start_session(void);
void stub_stop_acks(void);
int stub_in_session(void);
void stub_ignore_break_in(int on);
size_t stub_to_hex(char *out, const void *data, size_t len);
int stub_from_hex(void *out, size_t size, const char *hex, size_t len);
uint64_t stub_number(const char **p, const char *end);

/* commands.c */
enum stub_verdict stub_listen(struct stub_stop *stop);

/* memory.c */
size_t stub_read_memory(void *to, uint64_t from, size_t len);
size_t stub_write_memory(uint64_t to, const void *from, size_t len);

/* x86_64.c, arm64.c */
extern const char stub_target_xml[];
size_t stub_registers_read(const struct __regs *r, unsigned char *out);
int stub_registers_write(struct __regs *r, const unsigned char *in, size_t len);
void stub_set_pc(struct __regs *r, uint64_t pc);
void stub_set_step(struct __regs *r, int on);
int stub_is_debug_trap(int trapnr);
/* The breakpoint that trapped was taken out before its turn came. */
int stub_breakpoint_gone(struct __regs *r, int trapnr);
/* Moves behind a breakpoint instruction that is compiled in. */
void stub_leave_breakpoint(struct __regs *r, int trapnr);
/* Copy inside one mapped page. */
int stub_page_read(void *to, uint64_t from, size_t len); /* 0: not for reading */
void stub_page_write(uint64_t to, const void *from, size_t len);

/* stub.c: the second serial port */
void stub_put(char c);
char stub_get(void); /* waits for ever */

#endif
