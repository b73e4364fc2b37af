/* SPDX-License-Identifier: BSD-3-Clause */
/* How registers are printed, in both generations of crash reports. */
#include <guest/arch.h>
#include <guest/crash_arch.h>

void crash_dump_regs_a(const struct __regs *r)
{
	uk_pr_crit("RIP: %016lx CS: %04lx\n", r->rip, r->cs);
	uk_pr_crit("RSP: %016lx SS: %04lx EFLAGS: %08lx\n", r->rsp, r->ss, r->eflags);
	uk_pr_crit("RAX: %016lx RBX: %016lx RCX: %016lx\n", r->rax, r->rbx, r->rcx);
	uk_pr_crit("RDX: %016lx RSI: %016lx RDI: %016lx\n", r->rdx, r->rsi, r->rdi);
	uk_pr_crit("RBP: %016lx R08: %016lx R09: %016lx\n", r->rbp, r->r8, r->r9);
	uk_pr_crit("R10: %016lx R11: %016lx R12: %016lx\n", r->r10, r->r11, r->r12);
	uk_pr_crit("R13: %016lx R14: %016lx R15: %016lx\n", r->r13, r->r14, r->r15);
}

void crash_dump_regs_c(const struct __regs *r)
{
	crash_line(" rip: %04lx:%016lx\n", r->cs, r->rip);
	crash_line(" rsp: %04lx:%016lx eflags: %08lx orig_rax: %016lx\n", r->ss, r->rsp, r->eflags, r->orig_rax);
	crash_line(" rax: %016lx rbx: %016lx rcx:%016lx\n", r->rax, r->rbx, r->rcx);
	crash_line(" rdx: %016lx rsi: %016lx rdi:%016lx\n", r->rdx, r->rsi, r->rdi);
	crash_line(" rbp: %016lx r08: %016lx r09:%016lx\n", r->rbp, r->r8, r->r9);
	crash_line(" r10: %016lx r11: %016lx r12:%016lx\n", r->r10, r->r11, r->r12);
	crash_line(" r13: %016lx r14: %016lx r15:%016lx\n", r->r13, r->r14, r->r15);
}

bool arch_frame_next(__vaddr_t fp, __vaddr_t *next, __vaddr_t *ret)
{
	const __u64 *f = (const __u64 *)fp;

	if (fp & 7 || !arch_mapped(fp, 16, false))
		return false;
	*next = f[0];
	*ret = f[1];
	return true;
}

static void dump_mem(__vaddr_t addr)
{
	if (addr < PAGE_SIZE)
		return;
	addr = ALIGN_DOWN(addr, 16) - 16;
	uk_pr_crit("\n");
	for (unsigned int row = 0; row < 4; row++, addr += 16) {
		const __u8 *b = (const __u8 *)addr;
		char text[16 * 3 + 1];

		if (!arch_mapped(addr, 16, false))
			return;
		for (unsigned int i = 0; i < 16; i++)
			snprintf(text + i * 3, 4, "%02x%s", b[i], i < 15 ? " " : "");
		uk_pr_crit("%lx: %s\n", addr, text);
	}
}

void crash_dump_stack_a(const struct __regs *r)
{
#ifndef GUEST_NO_FRAME_POINTERS
	__vaddr_t fp = r->rbp, next, ret;

	for (unsigned int i = 0; i < 64 && fp && arch_frame_next(fp, &next, &ret); i++, fp = next)
		uk_pr_crit("base is %#lx caller is %#lx\n", fp, ret);
#endif
	dump_mem(r->rsp);
	dump_mem(r->rbp);
	dump_mem(r->rip);
}

void _uk_crash_from_code(void)
{
	if (crash_generation == CRASH_GEN_A)
		ukplat_terminate();
	_uk_crash_explicit = 1;
	__asm__ volatile("ud2");
	__builtin_unreachable();
}
