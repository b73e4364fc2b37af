/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtime of -fstack-protector-strong, in the words of Unikraft's lib/uksp. Is itself compiled without it. */
#define __LIBNAME__ "libuksp"
#include <guest/config.h>
#include <uk/crash.h>

/* Unikraft's constant: NUL, CR, LF and 0xff stop most string functions. */
__uptr __stack_chk_guard = 0xff0a0d00;

void __stack_chk_fail(void) __noreturn;

/* As in Unikraft the SP told is masked: it names the stack, not the depth. */
void __stack_chk_fail(void)
{
	__uptr mask = ~(((__uptr)PAGE_SIZE << CONFIG_STACK_ORDER) - 1);

	UK_CRASH("Stack smashing detected. SP %#lx\n", (__uptr)__builtin_frame_address(0) & mask);
}
