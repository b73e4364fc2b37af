/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the sanitizer runtimes share. Each image links only the runtimes it was
 * built for; what is missing is a null weak symbol, see init.c.
 */
#ifndef GUEST_SAN_SAN_H
#define GUEST_SAN_SAN_H

#include <guest/san.h>

/* A fault that returns could not be committed on this machine, and said why. */
void fault_smash(void) __weak;
void fault_ubsan(void) __weak;
void fault_kasan(void) __weak;
void fault_pkey(void) __weak;
void fault_cfi(void) __weak;
void fault_icall(void) __weak;

void kasan_init(void) __weak;
__uptr kasan_reserve(__uptr base, __uptr end) __weak;
void kasan_alloc(const void *p, size_t size, size_t room) __weak;
void kasan_free(const void *p, size_t room) __weak;

void pkey_trap(const struct __regs *regs, int trapnr, unsigned long error_code, __vaddr_t addr) __weak;
void kcfi_trap(const struct __regs *regs, int trapnr) __weak;

/* VALUE of the boot option san=VALUE: which of several faults of one kind. */
extern char san_flavour[16];

#endif
