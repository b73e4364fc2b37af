/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uktrace in memory, version 1. A debugger finds it by the symbol `uktrace`, trusts it by magic, version and checksum, and takes every
 * offset below from the image's DWARF. All integers are little-endian.
 *
 * Each CPU has a ring. A writer reserves bytes by adding to `head`, which counts bytes since boot and never goes back; the record at
 * position P begins at data[P % ring_size] and runs straight on, past the ring's end into the spill area if need be. Its first word is
 * P | 1 once the record is complete: no other lap ever has that word there, so a reader knows a complete record, a half-written one and
 * an overwritten one from each other without a lock. What was copied is proved by reading `head` again: all positions at least
 * head - ring_size + max_record were still whole.
 */
#ifndef UKTRACE_FORMAT_H
#define UKTRACE_FORMAT_H

#include <stdint.h>

#define UKTRACE_MAGIC { 'U', 'K', 'T', 'R', 'A', 'C', 'E', 0 }
#define UKTRACE_VERSION 1
#define UKTRACE_POINT_MAGIC 0x70746b75 /* "uktp" */
#define UKTRACE_MAX_FRAMES 16
#define UKTRACE_MAX_STRLEN 80
#define UKTRACE_MAX_ARGS 7
/* Room for a record of seven strings and a full backtrace; a multiple of 64. */
#define UKTRACE_MAX_RECORD 768

#ifndef UKTRACE_RING_SIZE
#define UKTRACE_RING_SIZE (256 * 1024)
#endif
#ifndef UKTRACE_CPUS
#define UKTRACE_CPUS 4
#endif

/* One tracepoint's switch. They lie side by side in the section uktrace_points. */
struct uktrace_point {
	uint32_t magic;
	uint8_t enabled; /* the debugger writes it: 0 or 1 */
	uint8_t frames;  /* the debugger writes it: how many return addresses to record, at most UKTRACE_MAX_FRAMES */
	uint16_t reserved;
	uint64_t cookie; /* run-time address of the definition in .uk_tracepoints_list */
} __attribute__((aligned(16)));

/* A record is this, then `frames` return addresses of 8 bytes, innermost first, then the arguments as in uk_trace_buffer (packed), then
 * zero to seven bytes of padding. */
struct uktrace_record {
	uint64_t commit;    /* position | 1, written last */
	uint32_t args_size; /* bytes of arguments, without padding */
	uint16_t cpu;
	uint8_t frames;
	uint8_t reserved;
	uint64_t seq;    /* counts this CPU's records from 0: a gap is what was lost */
	uint64_t time;   /* ns since boot */
	uint64_t cookie; /* run-time address of the definition */
	uint64_t thread; /* address of the thread's structure, 0 before there are threads */
};

struct uktrace_ring {
	uint64_t head; /* bytes reserved since boot, a multiple of 8 */
	uint64_t seq;  /* records reserved since boot */
	uint64_t pad[6];
	unsigned char data[UKTRACE_RING_SIZE + UKTRACE_MAX_RECORD];
} __attribute__((aligned(64)));

struct uktrace_header {
	char magic[8];
	/* The checksum is over these: FNV-1a, 32 bits, taking a word where the original takes a byte. */
	uint32_t version;
	uint32_t header_size;
	uint32_t point_size;
	uint32_t record_size; /* of struct uktrace_record */
	uint32_t ring_struct_size;
	uint32_t ring_size; /* a power of two */
	uint32_t max_record;
	uint32_t cpus;
	uint32_t checksum;
	uint32_t on;       /* the debugger writes it: 0 stops all tracepoints */
	uint64_t homeless; /* records of CPUs beyond `cpus`, which have no ring */
	struct uktrace_ring *rings;
	struct uktrace_point *points, *points_end;
};

extern struct uktrace_header uktrace;
extern struct uktrace_ring uktrace_rings[UKTRACE_CPUS];

#endif
