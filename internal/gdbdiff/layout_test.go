package gdbdiff

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// layout is what the test knows of an architecture, by hand: struct elf_prstatus
// of Linux, and what the guest's code saves of a thread or at a trap.
type layout struct {
	// size of struct elf_prstatus; its registers begin at offset 112, 8 bytes
	// each. pc and sp are their indices.
	size, pc, sp int
	// saved maps offsets from ctx.sp to registers. ret is the offset of the
	// return address, frame the size of all of it: guest/arch/*/ctx.S.
	saved      map[uint64]int
	ret, frame uint64
	// resumes is where ctx.ip points in a thread that was switched out.
	resumes string
	// vectors save struct __regs at their stack pointer; regs maps its
	// offsets to registers. Only where call frame information does not do so.
	vectors map[string]bool
	regs    map[uint64]int
	// scratch are the registers that a call may destroy. dwarf maps DWARF's numbers
	// of registers, nil where they are the same.
	scratch, dwarf []int
}

// x86Layout: struct user_regs_struct is r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax
// rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs.
var x86Layout = layout{
	size: 336, pc: 16, sp: 19,
	saved: map[uint64]int{0: 0, 8: 1, 16: 2, 24: 3, 32: 5, 40: 4},
	ret:   48, frame: 56, resumes: "ukarch_ctx_switch",
	scratch: []int{6, 7, 8, 9, 10, 11, 12, 13, 14},
	dwarf:   []int{10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16},
}

// arm64Layout: struct user_pt_regs is x0 to x30, sp, pc, pstate; struct __regs
// x0 to x29, lr, elr_el1, spsr_el1, esr_el1, sp.
var arm64Layout = layout{
	size: 392, pc: 32, sp: 31,
	saved: map[uint64]int{
		0: 19, 8: 20, 16: 21, 24: 22, 32: 23, 40: 24, 48: 25, 56: 26, 64: 27, 72: 28, 80: 29, 88: 30, 96: 18,
	},
	ret: 88, frame: 112, resumes: "ukarch_ctx_switch", // its tail is restore_point
	vectors: map[string]bool{"el1_sync": true, "el1_irq": true, "el1_sync_nested": true, "el1_irq_nested": true, "el1_fiq": true, "el1_error": true},
	regs:    arm64Saved(),
	scratch: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
}

func arm64Saved() map[uint64]int {
	m := map[uint64]int{248: 32, 256: 33, 272: 31}
	for i := range 31 {
		m[8*uint64(i)] = i
	}
	return m
}

var layouts = map[string]*layout{"x86_64": &x86Layout, "arm64": &arm64Layout}

const registersAt = 112

// unknown is what a register holds that nobody knows, plus its index: so that a
// value made of it is seen.
const unknown = 0xdead_0000_beef_0000

// prstatus makes a struct elf_prstatus whose registers are not known.
func (l *layout) prstatus() []byte {
	b := make([]byte, l.size)
	for i := range (l.size - registersAt) / 8 {
		l.set(b, i, unknown+uint64(i))
	}
	return b
}

// statusOf makes a struct elf_prstatus of the registers of a frame, all of which are
// known.
func (l *layout) statusOf(f *frame) []byte {
	b := l.prstatus()
	for i := range (l.size - registersAt) / 8 {
		num := i
		if l.dwarf != nil {
			if num = slices.Index(l.dwarf, i); num < 0 {
				continue
			}
		}
		if v, ok := f.ours.Regs.Get(num); ok {
			l.set(b, i, v)
		}
	}
	l.set(b, l.pc, f.ours.Regs.PC())
	l.set(b, l.sp, f.ours.Regs.SP())
	return b
}

func (l *layout) set(b []byte, reg int, v uint64) {
	binary.LittleEndian.PutUint64(b[registersAt+8*reg:], v)
}

// thread is a thread of the guest's scheduler as the test finds it.
type thread struct {
	addr   uint64
	name   string
	cpu    int // that runs it, -1 for none
	status []byte
	fresh  bool // it never ran
}

// facts are numbers of an image that only gdb is asked for.
type facts struct {
	schedHead, currents        uint64 // symbols
	schedNext, threads, exited uint64 // struct uk_sched
	ip, sp, name, listNext     uint64 // struct uk_thread
	stack, currentsLen         uint64 // _mem.stack; of the array currents
}

func askFacts(t *testing.T, g *gdb) facts {
	t.Helper()
	off := func(of, member string) string { return fmt.Sprintf("&((struct %s *)0)->%s", of, member) }
	n := g.numbers(t, []string{
		"&uk_sched_head", "&__uk_sched_thread_current",
		off("uk_sched", "next"), off("uk_sched", "thread_list.tqh_first"), off("uk_sched", "exited_threads.tqh_first"),
		off("uk_thread", "ctx.ip"), off("uk_thread", "ctx.sp"), off("uk_thread", "name"), off("uk_thread", "thread_list.tqe_next"),
		off("uk_thread", "_mem.stack"), "sizeof(__uk_sched_thread_current)/8",
	})
	return facts{
		schedHead: n[0], currents: n[1], schedNext: n[2], threads: n[3], exited: n[4],
		ip: n[5], sp: n[6], name: n[7], listNext: n[8], stack: n[9], currentsLen: n[10],
	}
}

// walk lists the threads of all schedulers and makes the registers of each: the
// processor's where one runs it, what the context switch saved otherwise.
func walk(t *testing.T, d *dump, l *layout, g *gdb, f facts) []thread {
	t.Helper()
	var out []thread
	for sched := d.word(t, f.schedHead); sched != 0; sched = d.word(t, sched+f.schedNext) {
		for _, list := range []uint64{f.threads, f.exited} {
			for addr := d.word(t, sched+list); addr != 0; addr = d.word(t, addr+f.listNext) {
				if len(out) > 100 {
					t.Fatal("the lists of threads do not end")
				}
				out = append(out, d.thread(t, l, g, f, addr))
			}
		}
	}
	return out
}

func (d *dump) thread(t *testing.T, l *layout, g *gdb, f facts, addr uint64) thread {
	t.Helper()
	if stack := d.word(t, addr+f.stack); stack != 0 {
		d.unmap(stack - page) // the guard page
	}
	th := thread{addr: addr, name: d.str(t, d.word(t, addr+f.name)), cpu: -1}
	for i := range min(f.currentsLen, uint64(len(d.cpus))) {
		if d.word(t, f.currents+8*i) == addr {
			th.cpu, th.status = int(i), d.cpus[i]
			return th
		}
	}
	ip, sp := d.word(t, addr+f.ip), d.word(t, addr+f.sp)
	th.status = l.prstatus()
	if !inFunction(t, g, ip, l.resumes) {
		th.fresh = true
		l.set(th.status, l.pc, ip)
		l.set(th.status, l.sp, sp)
		return th
	}
	for off, reg := range l.saved {
		l.set(th.status, reg, d.word(t, sp+off))
	}
	l.set(th.status, l.pc, d.word(t, sp+l.ret))
	l.set(th.status, l.sp, sp+l.frame)
	return th
}

// inFunction asks gdb whether the symbol of an address is name.
func inFunction(t *testing.T, g *gdb, addr uint64, name string) bool {
	t.Helper()
	symbol, _, _ := strings.Cut(g.run(t, fmt.Sprintf("info symbol %#x", addr))[0], " ")
	return symbol == name
}
