package asserts

import (
	"fmt"
	"strings"
	"testing"
)

// summary is a fault in one line: what a test of a format looks at.
func summary(f *Fault) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", f.Source.Format, f.Kind)
	if f.Subkind != "" {
		fmt.Fprintf(&b, "/%s", f.Subkind)
	}
	for _, w := range []struct {
		name string
		v    Word
	}{{"addr", f.Address}, {"iaddr", f.InferredAddress}, {"pc", f.PC}, {"ec", f.ErrorCode}} {
		if w.v.Known {
			fmt.Fprintf(&b, " %s=%#x", w.name, w.v.V)
		}
	}
	if f.Access != "" {
		fmt.Fprintf(&b, " %s", f.Access)
	}
	if f.Thread != "" {
		fmt.Fprintf(&b, " in=%s", f.Thread)
	}
	if f.Location.File != "" {
		fmt.Fprintf(&b, " at=%s:%d", f.Location.File, f.Location.Line)
	}
	if len(f.Registers) > 0 {
		fmt.Fprintf(&b, " regs=%d", len(f.Registers))
	}
	for i, c := range f.Backtrace {
		if c.Function == "" {
			fmt.Fprintf(&b, " #%d=%#x", i, c.Addr)
		} else {
			fmt.Fprintf(&b, " #%d=%s", i, c.Function)
		}
	}
	if n := len(f.Consequences) + f.MoreConsequences; n > 0 {
		fmt.Fprintf(&b, " then=%d", n)
	}
	return b.String() + " | " + f.Reason
}

// TestFormats reads one report of each format that testdata/logs has none of,
// with addresses and names made up. What must come out was written by hand.
func TestFormats(t *testing.T) {
	for name, tt := range formatTests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range scanText(t, strings.TrimPrefix(tt.log, "\n")) {
				got = append(got, summary(f))
			}
			if g, w := strings.Join(got, "\n"), strings.TrimSpace(tt.want); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

var formatTests = map[string]struct{ log, want string }{
	"linux page fault, no timestamps": {`
BUG: unable to handle page fault for address: ffff888100200ff8
#PF: supervisor write access in kernel mode
#PF: error_code(0x0003) - permissions violation
PGD 1801067 P4D 1801067 PUD 1802067
Oops: 0003 [#1] PREEMPT SMP NOPTI
CPU: 1 PID: 77 Comm: kworker/1:2 Tainted: P           O       6.9.1 #1
RIP: 0010:shop_fill+0x2f/0x70 [shop]
Code: 00 e8 35 b7 <0f> c7 29 5b
RSP: 0018:ffffc900000b75b0 EFLAGS: 00010096
RAX: 0000000000000001 RBX: ffff888100200000 RCX: 0000000000000000
Call Trace:
 <TASK>
 ? __die_body+0x1a/0x60
 ? asm_exc_page_fault+0x22/0x30
 shop_run+0x10/0x40 [shop]
 process_one_work+0x1d4/0x3a0
 </TASK>
---[ end trace 0000000000000000 ]---`,
		`linux-oops page-fault/write-to-read-only addr=0xffff888100200ff8 ec=0x3 write in=kworker/1:2 regs=7 #0=shop_fill #1=shop_run #2=process_one_work | write to read-only memory at 0xffff888100200ff8`},
	"linux 3.10": {`
[   10.000001] BUG: unable to handle kernel NULL pointer dereference at 0000000000000018
[   10.000002] IP: [<ffffffff81234567>] shop_read+0x17/0x40
[   10.000003] Oops: 0000 [#1] SMP
[   10.000004] CPU: 0 PID: 5 Comm: cat Not tainted 3.10.0 #1
[   10.000005] RIP: 0010:[<ffffffff81234567>]  [<ffffffff81234567>] shop_read+0x17/0x40
[   10.000006] RSP: 0018:ffff88003d0f7e10  EFLAGS: 00010246
[   10.000007] Call Trace:
[   10.000008]  [<ffffffff8118a0b5>] vfs_read+0x95/0x160
[   10.000009]  [<ffffffff8118ab17>] ? SyS_read+0x47/0xa0`,
		`linux-oops page-fault/null-dereference addr=0x18 pc=0xffffffff81234567 ec=0x0 read in=cat regs=4 #0=shop_read #1=vfs_read | read of 0x18 through a null pointer`},
	"linux general protection with KASAN": {`
[    5.100000] general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] PREEMPT SMP KASAN
[    5.100001] KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]
[    5.100002] CPU: 0 UID: 0 PID: 9 Comm: sh Not tainted 6.12.0 #3
[    5.100003] RIP: 0010:shop_open+0x44/0x90`,
		`linux-oops general-protection/null-dereference iaddr=0xdffffc0000000003 in=sh regs=1 #0=shop_open | general protection: use of 0xdffffc0000000003, which is no canonical address`},
	"linux BUG": {`
[    5.100000] ------------[ cut here ]------------
[    5.100001] kernel BUG at fs/shop/inode.c:88!
[    5.100002] invalid opcode: 0000 [#1] SMP
[    5.100003] RIP: 0010:shop_evict+0x12/0x20`,
		`linux-bug bug at=fs/shop/inode.c:88 regs=1 #0=shop_evict | BUG() was reached at fs/shop/inode.c`},
	"linux warning": {`
[    5.100001] WARNING: CPU: 1 PID: 70 at net/shop/tcp.c:12 shop_close+0x2e/0x40
[    5.100003] RIP: 0010:shop_close+0x2e/0x40`,
		`linux-bug warning at=net/shop/tcp.c:12 regs=1 #0=shop_close | warning at net/shop/tcp.c in shop_close`},
	"linux refcount": {`
[    5.100001] refcount_t: underflow; use-after-free.
[    5.100002] WARNING: CPU: 1 PID: 70 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[    5.100003] CPU: 1 PID: 70 Comm: srv Not tainted 6.9.1 #1
[    5.100004] RIP: 0010:refcount_warn_saturate+0xba/0x110
[    5.100005] Call Trace:
[    5.100006]  <TASK>
[    5.100007]  shop_put+0x20/0x30`,
		`linux-bug refcount/use-after-free in=srv regs=1 #0=refcount_warn_saturate #1=shop_put | underflow; use-after-free`},
	"linux stack guard page": {`
[    5.100001] BUG: TASK stack guard page was hit at ffffc90000a37ff8 (stack is ffffc90000a38000..ffffc90000a3c000)
[    5.100002] stack guard page: 0000 [#1] SMP
[    5.100003] RIP: 0010:shop_walk+0x5/0x30`,
		`linux-oops stack-overflow/guard-page addr=0xffffc90000a37ff8 regs=1 #0=shop_walk | stack overflow: a thread's stack ran into its guard page`},
	"linux double fault, divide error, int3": {`
[    5.1] x
[    5.100001] double fault: 0000 [#1] SMP
[    0.100001] divide error: 0000 [#1] SMP
[    0.100002] RIP: 0010:shop_mean+0x5/0x30
[    0.000001] int3: 0000 [#1] SMP`,
		`linux-oops double-fault | double fault: a fault while the handler of another was being called
linux-oops divide-error regs=1 #0=shop_mean | divide error
linux-oops breakpoint | a breakpoint instruction (int3) was executed`},
	"linux ENDBR": {`
[    5.100001] traps: Missing ENDBR: shop_cb+0x0/0x10
[    5.100002] ------------[ cut here ]------------
[    5.100003] kernel BUG at arch/x86/kernel/cet.c:102!`,
		`linux-bug control-protection/endbranch then=1 | an indirect branch went to shop_cb+0x0/0x10, which is no landing pad (ENDBR)`},
	"linux stack protector": {`
[    5.100001] Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: shop_copy+0x7a/0x80
[    5.100002] ---[ end Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: shop_copy+0x7a/0x80 ]---`,
		`linux-panic stack-smash #0=shop_copy | a function's stack canary was overwritten before it returned: shop_copy+0x7a/0x80`},
	"linux arm64 data abort": {`
[    5.100000] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008
[    5.100001] Mem abort info:
[    5.100002]   ESR = 0x0000000096000044
[    5.100003]   EC = 0x25: DABT (current EL), IL = 32 bits
[    5.100004] Internal error: Oops: 0000000096000044 [#1] PREEMPT SMP
[    5.100005] CPU: 0 PID: 40 Comm: srv Not tainted 6.6.8 #2
[    5.100006] pstate: 60000005 (nZCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
[    5.100007] pc : shop_set+0x1c/0x40
[    5.100008] lr : shop_run+0x30/0x60
[    5.100009] sp : ffff800082c1bc40
[    5.100010] x29: ffff800082c1bc40 x28: ffff0000c0a00000 x27: 0000000000000000
[    5.100011] x2 : 0000000000000000 x1 : 0000000000000001 x0 : 0000000000000008
[    5.100012] Call trace:
[    5.100013]  shop_set+0x1c/0x40
[    5.100014]  shop_run+0x30/0x60
[    5.100015] Code: aa0003e1 d503201f (b9000001)
[    5.100016] ---[ end trace 0000000000000000 ]---`,
		`linux-oops page-fault/null-dereference addr=0x8 ec=0x96000044 write in=srv regs=9 #0=shop_set #1=shop_run | write to 0x8 through a null pointer`},
	"linux arm64 BTI, FPAC, CFI, UBSAN": {`
[    5.100000] Internal error: Oops - BTI: 0000000036000002 [#1] SMP
[    5.100001] pc : shop_cb+0x0/0x10
[    4.100000] Internal error: Oops - FPAC: 0000000072000001 [#1] SMP
[    3.100000] CFI failure at shop_call+0x14/0x20 (target: shop_cb+0x0/0x8; expected type: 0x7e0c52a5)
[    3.100001] Internal error: Oops - CFI: 00000000f2008228 [#1] SMP
[    2.100000] Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] PREEMPT SMP
[    1.100000] Internal error: synchronous external abort: 0000000096000210 [#1] SMP`,
		`linux-oops branch-target ec=0x36000002 regs=1 #0=shop_cb | an indirect branch went to an instruction that is no landing pad (BTI)
linux-oops pointer-authentication/authentication-failed ec=0x72000001 regs=1 | a pointer's authentication code was wrong (key instruction B)
linux-cfi control-flow-integrity/kcfi ec=0xf2008228 regs=1 #0=shop_call | an indirect call went to shop_cb+0x0/0x8, a function of another type
linux-oops undefined-behavior/out-of-bounds ec=0xf2005512 regs=1 | undefined behavior: out-of-bounds (sanitizer trap)
linux-oops machine-check/external-abort ec=0x96000210 read regs=1 | external abort on read`},
	"linux kCFI on x86 and before 6.1": {`
[   15.000001] CFI failure at shop_call+0x14/0x20 [shop] (target: shop_cb+0x0/0x7 [shop]; expected type: 0x7e0c52a5)
[   15.000002] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[   15.000003] RIP: 0010:shop_call+0x14/0x20 [shop]
[    9.000001] CFI failure (target: shop_cb+0x0/0x8):
[    9.000002] WARNING: CPU: 2 PID: 386 at kernel/cfi.c:31 __cfi_check_fail+0x2e/0x40
[    8.000001] CFI failure at shop_call+0x14/0x20 (no target information)`,
		`linux-cfi control-flow-integrity/kcfi regs=1 #0=shop_call | an indirect call went to shop_cb+0x0/0x7 [shop], a function of another type
linux-cfi control-flow-integrity/kcfi | an indirect call went to shop_cb+0x0/0x8, a function of another type
linux-cfi control-flow-integrity/kcfi #0=shop_call | an indirect call went to a function of another type`},
	"linux KASAN 4.4 and 5.10": {`
[    9.540327] ==================================================================
[    9.542176] BUG: KASAN: slab-out-of-bounds in shop_done+0x16/0x30 [shop] at addr ffff8881d4332414
[    9.543552] Read of size 4 by task swapper/22/0
[    1.100000] BUG: KASAN: double-free or invalid-free in shop_free+0x9/0x10
[    1.100001] Freed by task 12:
[    1.100002]  kasan_save_stack+0x1b/0x40
[    1.100003]  kfree+0xd0/0x2a0
[    1.100004]  shop_put+0x22/0x40`,
		`linux-kasan address-sanitizer/heap-buffer-overflow addr=0xffff8881d4332414 read in=swapper #0=shop_done | KASAN: slab-out-of-bounds in shop_done
linux-kasan address-sanitizer/double-free #0=shop_free | KASAN: double-free or invalid-free in shop_free`},
	"osv page fault": {`
OSv v0.57.0-1-gabcdef0
page fault outside application, addr: 0x0000000001b7e000
[registers]
RIP: 0x000000000047e83a <shop_copy+234>
RFL: 0x0000000000010246  CS:  0x0000000000000008  SS:  0x0000000000000010
RAX: 0x0000000000400020  RBX: 0x00002000002ffd80  RCX: 0x00000000003be060  RDX: 0xffff8000053c3040
R9:  0x0000000000000001  R10: 0x0000000000000002  R11: 0x0000000000000020  R12: 0x0000000000000017
R13: 0x0000000000000001  R14: 0x0000000000000002  R15: 0x0000000000000020  RSP: 0x00002000002ff750
Aborted

[backtrace]
0x000000000022bc39 <abort(char const*, ...)+270>
0x00000000003c5128 <mmu::vm_fault(unsigned long, exception_frame*)+350>
0x000000000048945e <page_fault+310>
0x0000100000001234 <shop_run+17>`,
		`osv page-fault addr=0x1b7e000 pc=0x47e83a regs=13 #0=shop_copy #1=shop_run | access to 0x1b7e000`},
	"osv general protection, arm64, trap, null call": {`
general protection fault
[registers]
RIP: 0x000000000047e83a <shop_copy+234>
OSv v0.57.0
unexpected synchronous exception at level:1, EC: 0x0025
PC: 0x0000000040123456 <shop_copy+234>
X00: 0x0000000000000010 X01: 0x0000000000000002 X02: 0x0000000000000003
ESR: 0x0000000096000004
OSv v0.57.0
DUMMY_HANDLER for #UD aborting.
OSv v0.57.0
trying to execute null pointer`,
		`osv general-protection pc=0x47e83a regs=1 #0=shop_copy | general protection
osv page-fault/not-present pc=0x40123456 ec=0x96000004 read regs=5 #0=shop_copy | read of an address that was not printed, where nothing is mapped
osv invalid-opcode | trap without a handler: UD
osv page-fault/null-call execute | call of a null function pointer`},
	"osv assertion": {`
Assertion failed: q != nullptr (core/shop.cc: shop::take(): 41)

[backtrace]
0x000000000022bc39 <__assert_fail+27>
0x0000100000001234 <shop_run+17>`,
		`libc assertion at=core/shop.cc:41 #0=__assert_fail #1=shop_run | assertion failed: q != nullptr`},
	"osv: aborted without a backtrace is no report": {"Aborted\none\ntwo\nthree\nfour\nfive\n", ""},
	"nanos kernel fault": {`
no fault handler for frame ffffffff80a01000 (kernel frame)
cpu 0000000000000000, state kernel, vector 000000000000000e
 interrupt: 000000000000000e (Page fault)
     frame: ffffffff80a01000
error code: 0000000000000002
   address: 0000000000000028

   rax: 0000000000000000
   rdi: 0000000000000028
    r8: 0000000000000001
   rbp: ffffffff80a02f00
   rsp: ffffffff80a02ee0
   rip: ffffffff80123456	(shop_put + 0000000000000026/0000000000000080)
rflags: 0000000000010246

frame trace:
ffffffff80a02f08:   ffffffff80124000	(shop_run + 0000000000000010/0000000000000100)
ffffffff80a02f48:   ffffffff80125000

stack trace:
ffffffff80a02ee0:   0000000000000007`,
		`nanos page-fault/null-dereference addr=0x28 pc=0xffffffff80123456 ec=0x2 write regs=7 #0=shop_put #1=shop_run #2=0xffffffff80125000 | write to 0x28 through a null pointer`},
	"nanos arm64, assertion, canary": {`
frame ffff000000801000 already full
cpu 0000000000000000, state interrupt, vector 0000000000000000
     frame: ffff000000801000
       esr: 0000000096000044 data abort in el1 write
       far: 0000000000000008
       elr: ffff000000123456	(shop_put + 0000000000000026/0000000000000080)
        x0: 0000000000000008
Powered by nobody
assertion x > 0 failed at /src/shop.c:77 (IP ffffffff80123456) in shop_take()
Powered by nobody
stack check failed`,
		`nanos page-fault/null-dereference addr=0x8 pc=0xffff000000123456 ec=0x96000044 write regs=4 #0=shop_put | write to 0x8 through a null pointer
nanos assertion pc=0xffffffff80123456 at=/src/shop.c:77 #0=shop_take | assertion failed: x > 0
nanos stack-smash | a function's stack canary was overwritten before it returned`},
	"solo5 arm64": {`
Solo5: Trap: EL1 Synchronous Abort caught
Data Abort Address: 0x0000000000000010
Solo5: Dump registers:
	 ESR    : 0x0000000096000047
	 PC     : 0x0000000000102db8
	 LR     : 0x0000000000102dac
	 PSTATE : 0x00000000800003c5
	 x00 ~ x03: 0x0000000000000001 0x0000000000000002 0x0000000000000003 0x0000000000000004
	 x28 ~ x29: 0x0000000000000000 0x000000001fffffc0
Solo5: ABORT: cpu_aarch64.c:73: PANIC`,
		`solo5 page-fault/null-dereference addr=0x10 pc=0x102db8 ec=0x96000047 write regs=11 #0=0x102db8 | write to 0x10 through a null pointer`},
	"solo5 others": {`
Solo5: trap: type=#GP ec=0x0 rip=0x1f8f70 rsp=0x1ffffe98 rflags=0x10002
Solo5: ABORT: cpu_x86_64.c:181: Fatal trap
Solo5: Bindings version v0.9.0
Solo5: ABORT: mem.c:12: Assertion ` + "`n < 8' failed" + `
Solo5: Bindings version v0.9.0
Solo5: ABORT: Stack corruption detected
Solo5: Bindings version v0.9.0
Solo5: ABORT: cpu_x86_64.c:181: Fatal trap`,
		`solo5 general-protection pc=0x1f8f70 ec=0x0 regs=3 #0=0x1f8f70 | trap #GP
solo5 assertion at=mem.c:12 | assertion failed: n < 8
solo5 stack-smash | a function's stack canary was overwritten before it returned
solo5 unknown-trap at=cpu_x86_64.c:181 | a fatal trap; its lines were not printed (--solo5:quiet hides them)`},
	"mirage exception": {`
Fatal error: exception Failure("no route")
Raised at Shop.find in file "lib/shop.ml", line 29, characters 17-33
Called from Dune__exe__Unikernel.start in file "unikernel.ml", line 12, characters 4-20
Solo5: solo5_exit(2) called`,
		`ocaml panic at=lib/shop.ml:29 #0=Shop.find #1=Dune__exe__Unikernel.start | uncaught exception Failure("no route")`},
	"hermit page fault": {`
[0.123456][0][ERROR hermit::arch::x86_64::mm::paging] Page fault (#PF)!
[0.123460][0][ERROR hermit::arch::x86_64::mm::paging] page_fault_linear_address = 0xdeadb000
[0.123470][0][ERROR hermit::arch::x86_64::mm::paging] error_code = PageFaultErrorCode(CAUSED_BY_WRITE)
[0.123480][0][ERROR hermit::arch::x86_64::mm::paging] fs = 0x40212340
[0.123490][0][ERROR hermit::arch::x86_64::mm::paging] gs = 0x40300000
[0.123500][0][ERROR hermit::arch::x86_64::mm::paging] stack_frame = ExceptionStackFrame {
    instruction_pointer: VirtAddr(0x401234),
    code_segment: SegmentSelector(0x8),
    cpu_flags: RFlags(0x10246),
    stack_pointer: VirtAddr(0x40211f00),
    stack_segment: SegmentSelector(0x10),
}`,
		`hermit page-fault/not-present addr=0xdeadb000 pc=0x401234 ec=0x2 write regs=5 #0=0x401234 | write to 0xdeadb000, where nothing is mapped`},
	"hermit protection, panic": {`
[            ][0][ERROR hermit::arch::x86_64::kernel::interrupts] General Protection (#GP) Exception: ExceptionStackFrame {
    instruction_pointer: VirtAddr(0x401234),
    stack_pointer: VirtAddr(0x40211f00),
}, error 0x10
Powered by nobody
[0][PANIC] panicked at src/mm/shop.rs:17:5:
no pages left
Powered by nobody
thread 'main' panicked at 'index out of bounds: the len is 3 but the index is 9', src/main.rs:4:5`,
		`hermit general-protection pc=0x401234 ec=0x10 regs=2 #0=0x401234 | general protection: segment or gate selector 0x10
rust-panic panic at=src/mm/shop.rs:17 | panic: no pages left
rust-panic panic/out-of-bounds in=main at=src/main.rs:4 | panic: index out of bounds: the len is 3 but the index is 9`},
	"hermitux": {`
GUEST PAGE FAULT @0x18 (RIP @0x400276)
0x0000000000400276
/src/shop/prog.c:9

[0.710][0:1][ERROR] Page Fault Exception (14) on core 0 at cs:ip = 0x8:0x400276, fs = 0x568880, gs = 0, rflags 0x11202, task = 1, addr = 0x18, error = 0x2 [ supervisor data write not present ]
[0.710][0:1][ERROR] rax 0x1df01, rbx 0, rcx 0x18, rdx 0x291, rbp 0x27, rsp 0x123b250 rdi 0x4, rsi 0x659100, r8 0x3, r9 0, r10 0x290, r11 0x5691d0, r12 0, r13 0x280, r14 0, r15 0x290`,
		`hermitux page-fault/null-dereference addr=0x18 pc=0x400276 ec=0x2 write at=/src/shop/prog.c:9 regs=18 #0=0x400276 | write to 0x18 through a null pointer`},
	"hermitux exception": {`
GUEST EXCEPTION 13 (RIP @0x400276)
[0.710][0:1][ERROR] General Protection Fault Exception (13) on core 0 at cs:ip = 0x8:0x400276, fs = 0x568880, gs = 0, rflags 0x11202, task = 1, addr = 0, error = 0 [ supervisor data read not present ]`,
		`hermitux general-protection pc=0x400276 ec=0x0 regs=2 #0=0x400276 | trap 13`},
	"rumprun": {`
FATAL TRAP: #PF at 0x00000000001234ab (0x0000000000000002)
Powered by nobody
assert "n != 0" FAILED
Powered by nobody
panic: kernel diagnostic assertion "ps != NULL" failed: file "/src/sys/kern/shop.c", line 55
Powered by nobody
PANIC: out of memory
halted`,
		`rumprun page-fault/not-present pc=0x1234ab ec=0x2 write | write to an address that was not printed, where nothing is mapped
rumprun assertion | assertion failed: n != 0
rumprun assertion at=/src/sys/kern/shop.c:55 | assertion failed: ps != NULL
rumprun panic | out of memory`},
	"mini-os": {`
FATAL:  Unhandled Trap 6 (invalid operand), error code=0x0
Regs address 0x1fd98
Thread: shop
RIP: e030:[<00000000000012ab>]
RSP: e02b:000000000001fe50  EFLAGS: 00010286
RAX: 0000000000000000 RBX: 0000000000000001 RCX: 0000000000000002`,
		`mini-os invalid-opcode pc=0x12ab ec=0x0 in=shop regs=8 #0=0x12ab | trap 6 (invalid operand)`},
	"mini-os page fault": {`
Page fault at linear address 0x10, rip 0x12ab, regs 0x1fd98, sp 0x1fe50, our_sp 0x1fd60, code 2
Thread: shop
RIP: e030:[<00000000000012ab>]
RSP: e02b:000000000001fe50  EFLAGS: 00010286
base is 0x1fe80 caller is 0x3456
base is 0x1fff0 caller is 0

1fe40: 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
Pagetable walk from virt 10, base 90000:
 L4 = 0000000000091067 (0x91000)  [offset = 0]
    L1 = 0000000000000000 [offset = 0]`,
		`mini-os page-fault/null-dereference addr=0x10 pc=0x12ab ec=0x2 write in=shop regs=5 #0=0x12ab #1=0x3456 | write to 0x10 through a null pointer`},
	"xen: a guest's crash": {`
(XEN) Pagetable walk from 0000000000248fa8:
(XEN)  L4[0x000] = 000000069220f067 000000000000040f
(XEN) domain_crash_sync called from entry.S: fault at ffff82d08020fc3e entry.o#create_bounce_frame+0x67/0x142
(XEN) Domain 7 (vcpu#0) crashed on cpu#3:
(XEN) ----[ Xen-4.17.1  x86_64  debug=n   Not tainted ]----
(XEN) CPU:    3
(XEN) RIP:    e033:[<00000000001f0f58>]
(XEN) RFLAGS: 0000000000010206   EM: 1   CONTEXT: pv guest (d7v0)
(XEN) rax: 0000000000000000   rbx: 00000000003b3cc9   rcx: 0000000000000010
(XEN) cr3: 000000069220e000   cr2: 0000000000248fe0`,
		`xen page-fault addr=0x248fa8 pc=0x1f0f58 in=d7v0 regs=8 #0=0x1f0f58 | access to 0x248fa8`},
	"xen: its own faults": {`
(XEN) [  123.450000] ----[ Xen-4.17.1  x86_64  debug=y  Not tainted ]----
(XEN) [  123.450001] CPU:    0
(XEN) [  123.450002] RIP:    e008:[<ffff82d040201234>] shop.c#take+0x14/0x40
(XEN) [  123.450003] RFLAGS: 0000000000010282   CONTEXT: hypervisor (d1v0)
(XEN) [  123.450004] rax: 0000000000000000   rbx: ffff83003e5f0000   rcx: 0000000000000000
(XEN) [  123.450005] Xen call trace:
(XEN) [  123.450006]    [<ffff82d040201234>] R shop.c#take+0x14/0x40
(XEN) [  123.450007]    [<ffff82d040205678>] F do_shop+0x28/0x90
(XEN) [  123.450008] 
(XEN) [  123.450009] ****************************************
(XEN) [  123.450010] Panic on CPU 0:
(XEN) [  123.450011] FATAL PAGE FAULT
(XEN) [  123.450012] [error_code=0002]
(XEN) [  123.450013] Faulting linear address: 0000000000000010
(XEN) [  123.450014] ****************************************
(XEN) [   23.450000] Panic on CPU 1:
(XEN) [   23.450001] CONTROL-FLOW PROTECTION FAULT: #CP[0003] endbranch
(XEN) [   23.450002] ****************************************
(XEN) [   13.450000] Xen BUG at common/shop.c:99
(XEN) [   13.450001] ----[ Xen-4.17.1  x86_64  debug=y  Not tainted ]----
(XEN) [   13.450002] RIP:    e008:[<ffff82d040201234>] take+0x14/0x40
(XEN) [    3.450000] Assertion 'v->running' failed at common/shop.c:100`,
		`xen page-fault/null-dereference addr=0x10 pc=0xffff82d040201234 ec=0x2 write regs=6 #0=take #1=do_shop | write to 0x10 through a null pointer
xen control-protection/endbranch ec=0x3 | control protection: endbranch
xen bug pc=0xffff82d040201234 at=common/shop.c:99 regs=2 #0=take | BUG() was reached at common/shop.c
xen assertion at=common/shop.c:100 | assertion failed: v->running`},
	"netbsd's asan": {`
[   202.833668] ASan: Unauthorized Access In 0xffffffff813ed8d4: Addr 0xffffce81388399d8 [16 bytes, write, PoolUseAfterFree]
[   202.843670] #0 0xffffffff815a668e in kasan_memcpy <netbsd>
[   202.843670] #1 0xffffffff813ed8d4 in shop_rename <netbsd>
[   202.843670] #2 0xffffffff814158a9 in do_shop <netbsd>`,
		`kasan-netbsd address-sanitizer/use-after-free addr=0xffffce81388399d8 pc=0xffffffff813ed8d4 write #0=shop_rename #1=do_shop | KASAN: invalid write of 16 bytes: PoolUseAfterFree`},
	"kasan with a shadow dump": {`
[    0.105388] CRIT: [libkasan] <kasan.c @  179> ===========KernelAddressSanitizer===========
[    0.107294] CRIT: [libkasan] <kasan.c @  179> * invalid access to address 0x25b01b
[    0.110177] CRIT: [libkasan] <kasan.c @  179> * read of size 1
[    0.111537] CRIT: [libkasan] <kasan.c @  179> * redzone code 0xff (kmalloc use-after-free)
[    0.113275] CRIT: [libkasan] <kasan.c @  179> ============================================
[    0.113276] CRIT: [libkasan] <kasan.c @  190> Shadow bytes around buggy address:
[    0.113277] CRIT: [libkasan] <kasan.c @  192> 5b000:  00[ff]ff ff ff ff 00 00 00 00 00 00 00 00 00 00
[    0.113278] CRIT: [libkasan] <kasan.c @  193> Shadow byte legend (one shadow byte represents 8 application bytes):
[    0.113279] CRIT: [libkasan] <kasan.c @  194>           kmalloc freed: ff
[    0.113280] CRIT: [libkasan] <kasan.c @  195> address sanitizer detected an error`,
		`kasan-mimiker address-sanitizer/use-after-free addr=0x25b01b read | KASAN: invalid read of 1 byte at 0x25b01b: kmalloc use-after-free`},
	"asan: signal, double free": {`
==12==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000010 (pc 0x55a000001234 bp 0x7ffc00000010 sp 0x7ffc00000000 T0)
==12==The signal is caused by a READ memory access.
    #0 0x55a000001234 in shop::take(int, char*) /src/shop.cc:9:7
    #1 0x55a000001300 in main /src/main.cc:3
SUMMARY: AddressSanitizer: SEGV /src/shop.cc:9:7 in shop::take(int, char*)
==12==ABORTING
Powered by nobody
==13==ERROR: AddressSanitizer: attempting double-free on 0x602000000010 in thread T2:
    #0 0x7f0000001000 in __interceptor_free ../asan_malloc_linux.cpp:52
    #1 0x55a000001300 in shop_put /src/shop.c:30`,
		`asan page-fault/null-dereference addr=0x10 pc=0x55a000001234 read at=/src/shop.cc:9 #0=shop::take(int, char*) #1=main | read of 0x10 through a null pointer
asan address-sanitizer/double-free addr=0x602000000010 in=T2 at=/src/shop.c:30 #0=__interceptor_free #1=shop_put | AddressSanitizer: double-free`},
	"libc": {`
shop: shop.c:12: take: Assertion ` + "`n > 0' failed." + `
Powered by nobody
*** buffer overflow detected ***: terminated
Powered by nobody
free(): double free detected in tcache 2`,
		`libc assertion at=shop.c:12 | assertion failed: n > 0
libc explicit-crash/fortify | a checked C function was given more than its buffer holds
libc explicit-crash/double-free | the C library found its heap corrupt: free(): double free detected in tcache 2`},
	"flexos gate and general protection": {`
ERROR IN GATE got 0x3ffffffc, expected 0x0
GPF rip: 10a3f2, error_code=0`,
		`flexos protection-key/gate then=1 | a gate was entered with the rights of another domain`},
}
