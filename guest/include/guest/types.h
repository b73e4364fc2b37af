/* SPDX-License-Identifier: BSD-3-Clause */
/* Base types and attributes of the guest. Only the compiler's freestanding headers are used. */
#ifndef GUEST_TYPES_H
#define GUEST_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int8_t __s8;
typedef uint8_t __u8;
typedef int16_t __s16;
typedef uint16_t __u16;
typedef int32_t __s32;
typedef uint32_t __u32;
typedef int64_t __s64;
typedef uint64_t __u64;
typedef uintptr_t __uptr;
typedef intptr_t __sptr;
typedef uintptr_t __vaddr_t;
typedef uintptr_t __paddr_t;
typedef size_t __sz;
typedef uint64_t __nsec;  /* nanoseconds since boot */
typedef int64_t __snsec;
typedef uint32_t __lcpuidx;
typedef uint64_t __lcpuid;

#define __packed __attribute__((packed))
#define __noreturn __attribute__((noreturn))
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __used __attribute__((used))
#define __weak __attribute__((weak))
#define __align(n) __attribute__((aligned(n)))
#define __printf(f, a) __attribute__((format(printf, f, a)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(v, a) (((v) + (a) - 1) & ~((__uptr)(a) - 1))
#define ALIGN_DOWN(v, a) ((v) & ~((__uptr)(a) - 1))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" ::: "memory")

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL

#endif
