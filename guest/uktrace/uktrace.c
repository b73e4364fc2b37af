/* SPDX-License-Identifier: BSD-3-Clause */
/* The rings' memory and the writer. See uktrace/format.h. */
#include <uktrace/uktrace.h>
/* The port: uktrace_cpu(), uktrace_now(), uktrace_thread(), uktrace_stack(). */
#include <uktrace_port.h>

_Static_assert((UKTRACE_RING_SIZE & (UKTRACE_RING_SIZE - 1)) == 0, "a ring's size is a power of two");
_Static_assert(UKTRACE_RING_SIZE >= 4 * UKTRACE_MAX_RECORD, "a ring holds some records");
_Static_assert(sizeof(struct uktrace_record) + 8 * UKTRACE_MAX_FRAMES + UKTRACE_MAX_ARGS * (1 + UKTRACE_MAX_STRLEN) + 7 <= UKTRACE_MAX_RECORD,
	       "the longest record fits");
_Static_assert(UKTRACE_MAX_RECORD % 64 == 0, "rings stay aligned");

struct uktrace_ring uktrace_rings[UKTRACE_CPUS];

/* The linker makes these of the section's name. Weak: a program may have no tracepoint. */
extern struct uktrace_point __start_uktrace_points[] __attribute__((weak, visibility("hidden")));
extern struct uktrace_point __stop_uktrace_points[] __attribute__((weak, visibility("hidden")));

#define STEP(h, word) (((h) ^ (uint32_t)(word)) * 16777619u)
#define CHECKSUM                                                                                      \
	STEP(STEP(STEP(STEP(STEP(STEP(STEP(STEP(2166136261u, UKTRACE_VERSION), sizeof(struct uktrace_header)), \
				      sizeof(struct uktrace_point)), sizeof(struct uktrace_record)),  \
			    sizeof(struct uktrace_ring)), UKTRACE_RING_SIZE), UKTRACE_MAX_RECORD), UKTRACE_CPUS)

/* All of it is there before the first instruction runs: nothing initialises it. */
struct uktrace_header uktrace = {
	.magic = UKTRACE_MAGIC,
	.version = UKTRACE_VERSION,
	.header_size = sizeof(struct uktrace_header),
	.point_size = sizeof(struct uktrace_point),
	.record_size = sizeof(struct uktrace_record),
	.ring_struct_size = sizeof(struct uktrace_ring),
	.ring_size = UKTRACE_RING_SIZE,
	.max_record = UKTRACE_MAX_RECORD,
	.cpus = UKTRACE_CPUS,
	.checksum = CHECKSUM,
	.on = 1,
	.rings = uktrace_rings,
	.points = __start_uktrace_points,
	.points_end = __stop_uktrace_points,
};

/*
 * Adds to a counter of this CPU and returns what it was. An interrupt handler may do the same in between, another CPU may not: so no
 * bus lock is needed, one instruction (x86) or an exclusive pair (arm64) is enough. A kernel that moves threads to another CPU behind
 * their back, between two instructions, defines UKTRACE_MIGRATES.
 */
static inline uint64_t take(uint64_t *counter, uint64_t n)
{
#if defined(__x86_64__) && !defined(UKTRACE_MIGRATES)
	__asm__ __volatile__("xaddq %0, %1" : "+r"(n), "+m"(*counter) : : "memory", "cc");
	return n;
#else
	return __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
#endif
}

/* What was reserved is seen by others before what is then overwritten. */
static inline void reserved_before_written(void)
{
#if defined(__aarch64__)
	__asm__ __volatile__("dmb ishst" : : : "memory");
#else
	__asm__ __volatile__("" : : : "memory"); /* x86 keeps the order of stores */
#endif
}

#ifdef UKTRACE_NO_FRAMES
static inline unsigned int backtrace(uint64_t *out, unsigned int most)
{
	(void)out, (void)most;
	return 0;
}
#else
/* Follows frame pointers inside the thread's stack, from uktrace_begin's caller on. */
static inline __attribute__((always_inline)) unsigned int backtrace(uint64_t *out, unsigned int most)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0), low = 0, high = 0;
	unsigned int n = 0;

	if (!uktrace_stack(&low, &high))
		return 0;
	while (n < most && fp >= low && fp <= high - 2 * sizeof(uintptr_t) && !(fp % sizeof(uintptr_t))) {
		const uintptr_t *frame = (const uintptr_t *)fp;

		if (!frame[1])
			break;
		out[n++] = frame[1];
		low = fp + 2 * sizeof(uintptr_t); /* stacks grow down: callers are above */
		fp = frame[0];
	}
	return n;
}
#endif

bool uktrace_begin(struct uktrace_cursor *c, const struct uktrace_point *point, uint32_t args_size)
{
	uint64_t frames[UKTRACE_MAX_FRAMES];
	unsigned int cpu = uktrace_cpu(), want = point->frames, n = 0;
	struct uktrace_record *r;
	struct uktrace_ring *ring;
	uint64_t position;

	if (cpu >= UKTRACE_CPUS) {
		__atomic_fetch_add(&uktrace.homeless, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (want)
		n = backtrace(frames, want < UKTRACE_MAX_FRAMES ? want : UKTRACE_MAX_FRAMES);
	ring = &uktrace_rings[cpu];
	position = take(&ring->head, sizeof(*r) + 8 * n + ((args_size + 7) & ~7u));
	r = (struct uktrace_record *)(ring->data + (position & (UKTRACE_RING_SIZE - 1)));
	reserved_before_written();
	r->args_size = args_size;
	r->cpu = (uint16_t)cpu;
	r->frames = (uint8_t)n;
	r->reserved = 0;
	r->seq = take(&ring->seq, 1);
	r->time = uktrace_now();
	r->cookie = point->cookie;
	r->thread = uktrace_thread();
	c->p = (unsigned char *)(r + 1);
	for (unsigned int i = 0; i < n; i++, c->p += 8)
		__builtin_memcpy(c->p, &frames[i], 8);
	c->record = r;
	c->commit = position | 1;
	return true;
}
