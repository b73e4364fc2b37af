package unikraft

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// fakeImage is an image made up in a test: layouts and symbols as data. Its
// offsets are on purpose not those of any release.
type fakeImage struct {
	arch    *arch.Arch
	symbols map[string][2]uint64 // address, size
	fields  map[string]map[string][2]uint64
	sizes   map[string]uint64
	rodata  string
	macros  map[string]string
	waits   []WaitObject
}

func (f *fakeImage) Arch() *arch.Arch { return f.arch }

func (f *fakeImage) SymbolByName(name string) (addr, size uint64, ok bool) {
	s, ok := f.symbols[name]
	return s[0], s[1], ok
}

func (f *fakeImage) SymbolAt(addr uint64) (string, uint64, bool) {
	for name, s := range f.symbols {
		if addr >= s[0] && addr < s[0]+s[1] {
			return name, addr - s[0], true
		}
	}
	return "", 0, false
}

func (f *fakeImage) Field(structure, path string) (off, size uint64, err error) {
	if v, ok := f.fields[structure][path]; ok {
		return v[0], v[1], nil
	}
	return 0, 0, fmt.Errorf("struct %s has no %s", structure, path)
}

func (f *fakeImage) SizeOf(structure string) (uint64, error) {
	if n, ok := f.sizes[structure]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("no struct %s", structure)
}

func (f *fakeImage) ReadOnlyData() []byte { return []byte(f.rodata) }
func (f *fakeImage) Macro(name string) (string, bool) {
	v, ok := f.macros[name]
	return v, ok
}
func (f *fakeImage) WaitObjects() []WaitObject { return f.waits }

// without removes a member from the image's layout.
func (f *fakeImage) without(structure, path string) { delete(f.fields[structure], path) }

func newImage(a *arch.Arch) *fakeImage {
	f := &fakeImage{
		arch: a,
		symbols: map[string][2]uint64{
			"uk_sched_head":             {0x1000, 8},
			"__uk_sched_thread_current": {0x1010, 32},
			"_uk_alloc_head":            {0x1040, 8},
			"uk_console_ring":           {0x1048, 8},
			"uk_trace_buffer":           {0x1100, 64},
			"uk_trace_buffer_writep":    {0x1050, 8},
			"uk_trace_buffer_free":      {0x1058, 8},
			"ukarch_ctx_switch":         {0x200, 0x40},
			"restore_point":             {0x240, 0x20},
			"_ctx_x86_clearregs":        {0x280, 0x20},
			"_ctx_x86_call1":            {0x2a0, 0x10},
			"_ctx_arm_clearregs":        {0x2c0, 0x20},
			"_ctx_arm_call1":            {0x2e0, 0x10},
			"worker_main":               {0x300, 0x40},
			"schedcoop_schedule":        {0x340, 0x80},
			"bbuddy_palloc":             {0x400, 0x40},
			"pool_palloc":               {0x440, 0x40},
			"other_yield":               {0x480, 0x40},
		},
		fields: map[string]map[string][2]uint64{
			"uk_thread": {
				"ctx": {8, 16}, "ctx.sp": {8, 8}, "ctx.ip": {16, 8}, "flags": {28, 4},
				"thread_list.tqe_next": {32, 8}, "thread_list.tqe_prev": {40, 8},
				"queue.tqe_next": {48, 8}, "queue.tqe_prev": {56, 8},
				"wakeup_time": {64, 8}, "exec_time": {72, 8}, "name": {80, 8},
				"_mem.stack": {88, 8}, "sched": {0, 8},
			},
			"uk_sched": {
				"yield": {0, 8}, "next": {8, 8},
				"thread_list.tqh_first": {16, 8}, "thread_list.tqh_last": {24, 8},
				"exited_threads.tqh_first": {32, 8},
			},
			"schedcoop": {
				"run_queue.tqh_first": {48, 8}, "run_queue.tqh_last": {56, 8},
				"sleep_queue.tqh_first": {64, 8}, "sleep_queue.tqh_last": {72, 8},
				"idle": {80, 96}, "ts_prev_switch": {176, 8},
			},
			"lcpu":           {"idx": {20, 4}},
			"uk_waitq":       {"wait_list.stqh_first": {8, 8}},
			"uk_waitq_entry": {"thread_list.stqe_next": {0, 8}, "thread": {8, 8}},
			"uk_alloc": {
				"palloc": {16, 8}, "malloc": {0, 8}, "next": {24, 8}, "priv": {32, 0},
			},
			"uk_bbpalloc":      {"nr_free_pages": {0, 8}, "free_head": {8, 8 * 8}, "free_tail": {72, 8 * 24}, "memr_head": {72 + 8*24, 8}},
			"chunk_head_st":    {"next": {0, 8}, "pprev": {8, 8}, "level": {16, 4}},
			"uk_bbpalloc_memr": {"next": {0, 8}, "first_page": {8, 8}, "nr_pages": {16, 8}, "mm_alloc_bitmap": {32, 8}},
			"uk_console_ring":  {"written": {0, 8}, "size": {8, 4}, "data": {16, 0}},
		},
		sizes: map[string]uint64{
			"uk_thread": 96, "uk_sched": 40, "schedcoop": 184, "uk_waitq_entry": 16,
			"uk_alloc": 32, "uk_bbpalloc": 72 + 8*24 + 8, "chunk_head_st": 24, "uk_bbpalloc_memr": 40,
		},
		rodata: "x\x00Powered by Unikraft Calypso (0.17.0~abc)\n\x00",
	}
	return f
}

// guest is sparse memory with registers; it counts batches.
type guest struct {
	bytes   map[uint64]byte
	regs    []target.Regs
	regsErr error
	batches int
	slide   uint64
}

func newGuest() *guest { return &guest{bytes: map[uint64]byte{}} }

func (g *guest) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	for i := range p {
		b, ok := g.bytes[addr+uint64(i)]
		if !ok {
			return i, &target.FaultError{Addr: addr + uint64(i)}
		}
		p[i] = b
	}
	return len(p), nil
}

func (g *guest) ReadMany(ctx context.Context, r []target.Range) error {
	g.batches++
	for i := range r {
		r[i].N, r[i].Err = g.ReadMemory(ctx, r[i].Data, r[i].Addr)
	}
	return nil
}

func (g *guest) CPUs(context.Context) ([]target.CPU, error) {
	var out []target.CPU
	for i := range g.regs {
		out = append(out, target.CPU(i))
	}
	return out, nil
}

func (g *guest) ReadRegisters(_ context.Context, c target.CPU) (target.Regs, error) {
	return g.regs[c], g.regsErr
}

func (g *guest) put(addr uint64, b ...byte) {
	for i, c := range b {
		g.bytes[addr+uint64(i)] = c
	}
}

func (g *guest) u64(addr, v uint64) { g.put(addr, binary.LittleEndian.AppendUint64(nil, v)...) }
func (g *guest) u32(addr, v uint64) { g.put(addr, binary.LittleEndian.AppendUint32(nil, uint32(v))...) }
func (g *guest) u16(addr, v uint64) { g.put(addr, binary.LittleEndian.AppendUint16(nil, uint16(v))...) }
func (g *guest) str(addr uint64, s string) {
	g.put(addr, append([]byte(s), 0)...)
	for i := uint64(len(s) + 1); i < maxName; i++ {
		if _, ok := g.bytes[addr+i]; !ok {
			g.put(addr+i, 0)
		}
	}
}

func (g *guest) zero(addr, n uint64) {
	for i := range n {
		g.bytes[addr+i] = 0
	}
}

func (g *guest) drop(addr, n uint64) {
	for i := range n {
		delete(g.bytes, addr+i)
	}
}

// Where the test guest keeps things.
const (
	schedAddr  = 0x10000
	threadBase = 0x20000
	stackBase  = 0x100000
	stackSize  = 0x4000
	nameBase   = 0x30000
	lcpuBase   = 0x8000
)

func threadAddr(i int) uint64 { return threadBase + uint64(i)*0x100 }
func stackOf(i int) uint64    { return stackBase + uint64(i)*stackSize }

// spec describes one thread of the test guest.
type spec struct {
	name   string
	flags  uint64
	wakeup uint64
	exec   uint64
	fresh  bool
	queue  string // "run", "sleep" or ""
	exited bool
}

// build writes a guest with one cooperative scheduler and these threads besides
// idle; current is the index of the running one, -1 for idle.
func build(img *fakeImage, specs []spec, current int) *guest {
	g := newGuest()
	g.zero(0x1000, 0x200)
	g.zero(schedAddr, 184)
	g.u64(0x1000, schedAddr)
	g.u64(schedAddr+0, 0x340)
	g.u64(schedAddr+176, 5_000_000)
	idle := uint64(schedAddr + 80)
	g.thread(img, idle, 60, spec{name: "idle", flags: flagRunnable})

	list, exited := []uint64{idle}, []uint64{}
	var run, sleep []uint64
	for i, s := range specs {
		a := threadAddr(i)
		g.zero(a, 96)
		g.thread(img, a, i, s)
		if s.exited {
			exited = append(exited, a)
		} else {
			list = append(list, a)
		}
		switch s.queue {
		case "run":
			run = append(run, a)
		case "sleep":
			sleep = append(sleep, a)
		}
	}
	g.tailq(schedAddr+16, schedAddr+24, list, 32, 40)
	g.tailq(schedAddr+32, 0, exited, 32, 40)
	g.tailq(schedAddr+48, schedAddr+56, run, 48, 56)
	g.tailq(schedAddr+64, schedAddr+72, sleep, 48, 56)

	cur, stack := idle, stackOf(60)
	if current >= 0 {
		cur, stack = threadAddr(current), stackOf(current)
	}
	g.u64(0x1010, cur)
	r := target.NewRegs(img.arch)
	r.Set(img.arch.PC, 0x310)
	r.Set(img.arch.SP, stack+0x3000)
	g.regs = []target.Regs{r}
	return g
}

func (g *guest) thread(img *fakeImage, a uint64, i int, s spec) {
	g.u64(a+88, stackOf(i))
	sp := stackOf(i) + 0x3800
	g.zero(sp, 128)
	g.u64(a+8, sp)
	x86 := img.arch == arch.X86_64
	switch {
	case s.fresh && x86:
		g.u64(a+16, 0x280)
		g.u64(sp, 0x2a0)   // _ctx_x86_call1
		g.u64(sp+8, 0x340) // the argument, itself a function
		g.u64(sp+16, 0x300)
	case s.fresh:
		g.u64(a+16, 0x2c0)
		g.u64(sp, 0x2e0)
		g.u64(sp+16, 0x340)
		g.u64(sp+32, 0x300)
	case x86:
		g.u64(a+16, 0x230)
		for r := range uint64(6) {
			g.u64(sp+8*r, 0xa0+r)
		}
		g.u64(sp+48, 0x344)
	default:
		g.u64(a+16, 0x240)
		for r := range uint64(14) {
			g.u64(sp+8*r, 0xa0+r)
		}
		g.u64(sp+88, 0x344)
	}
	g.u32(a+28, s.flags)
	g.u64(a+64, s.wakeup)
	g.u64(a+72, s.exec)
	name := nameBase + uint64(i)*0x40
	g.str(name, s.name)
	g.u64(a+80, name)
}

// tailq links nodes into a TAILQ whose head is at first; last is the address of
// its tqh_last, 0 to leave it.
func (g *guest) tailq(first, last uint64, nodes []uint64, next, prev uint64) {
	at := first
	for _, n := range nodes {
		g.u64(at, n)
		g.u64(n+prev, at)
		at = n + next
	}
	g.u64(at, 0)
	if last != 0 {
		g.u64(last, at)
	}
}

func open(t testing.TB, img *fakeImage, g *guest) *Kernel {
	t.Helper()
	k, err := New(Config{Image: img, Memory: g, CPUs: g, Slide: g.slide})
	if err != nil {
		t.Fatal(err)
	}
	return k
}
