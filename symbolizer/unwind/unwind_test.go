package unwind_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// x86Asm has functions with and without call frame information, and a trap's
// entry. The numbers in the labels are used by the tests.
const x86Asm = `
	.text
	.macro func name
	.globl \name
	.type \name, @function
\name:
	.endm
	.macro endf name
	.size \name, .-\name
	.endm

func bottom	# call frame information says there is no caller
	.cfi_startproc
	.cfi_undefined rip
	call outer
bottom_ret:
	hlt
	.cfi_endproc
endf bottom

func outer	# 24 bytes of locals
	.cfi_startproc
	sub $24, %rsp
	.cfi_adjust_cfa_offset 24
	call framed
outer_ret:
	add $24, %rsp
	.cfi_adjust_cfa_offset -24
	ret
	.cfi_endproc
endf outer

func framed	# a frame pointer and no call frame information
	push %rbp
	mov %rsp, %rbp
	sub $32, %rsp
	call *table(,%rax,8)
framed_ret:
	leave
	ret
endf framed

func leaf	# neither
	nop
	nop
	ret
endf leaf

func trap	# entry of a trap, as Unikraft describes it
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_offset rip, 0
	.cfi_offset rsp, 24
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	call outer
trap_ret:
	iretq
	.cfi_endproc
endf trap
	.data
table:	.quad leaf
`

const arm64Asm = `
	.text
	.macro func name
	.globl \name
	.type \name, %function
\name:
	.endm
	.macro endf name
	.size \name, .-\name
	.endm
func bottom
	.cfi_startproc
	.cfi_undefined x30
	bl outer
bottom_ret:
	b .
	.cfi_endproc
endf bottom
func outer
	.cfi_startproc
	stp x29, x30, [sp, -32]!
	.cfi_adjust_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	mov x29, sp
	bl leaf
outer_ret:
	ldp x29, x30, [sp], 32
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
endf outer
func leaf
	nop
	ret
endf leaf
func el1_sync
	sub sp, sp, #288
	bl outer
el1_ret:
	eret
endf el1_sync
`

func image(t testing.TB, compiler, asm string) (*symbolizer.Image, symbolizer.Mappings) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.s"), []byte(asm), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(compiler, "-nostdlib", "-static", "-Wl,-e,bottom", "-o", "out", "a.s")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s is needed by this test (make tools installs it): %v\n%s", compiler, err, out)
	}
	im, err := symbolizer.Open(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return im, symbolizer.Mappings{{Image: im}}
}

func addr(t testing.TB, im *symbolizer.Image, name string) uint64 {
	t.Helper()
	s, ok := im.SymbolByName(name)
	if !ok {
		t.Fatalf("no symbol %s", name)
	}
	return s.Addr
}

// stackAt makes memory that holds words from an address up.
func stackAt(at uint64, words ...uint64) *window {
	w := &window{addr: at}
	for _, v := range words {
		w.data = binary.LittleEndian.AppendUint64(w.data, v)
	}
	return w
}

// walk renders a walk as "function how" for each frame.
func walk(t testing.TB, mods symbolizer.Mappings, mem target.Memory, regs target.Regs, opt unwind.Options) (string, error) {
	t.Helper()
	frames, err := unwind.Unwind(context.Background(), mem, mods, regs, opt)
	var parts []string
	for _, f := range frames {
		name := "?"
		if s, ok := symbolAt(mods, f.LookupPC); ok {
			name = s
		}
		parts = append(parts, name+" "+f.How.String())
	}
	return strings.Join(parts, ", "), err
}

// symbolAt names the function at pc, not the label.
func symbolAt(mods symbolizer.Mappings, pc uint64) (string, bool) {
	m, ok := mods.Find(pc)
	if !ok {
		return "", false
	}
	s, ok := m.Symbol(pc)
	return s.Name, ok
}

const top = 0x7000

func TestX86Fallbacks(t *testing.T) {
	im, mods := image(t, "gcc", x86Asm)
	at := func(name string) uint64 { return addr(t, im, name) }
	// bottom → outer → framed → leaf, from the stack's end down.
	words := []uint64{
		at("framed_ret"), // +0: return address of leaf
		1, 2, 3, 4,       // +8: locals of framed
		top + 64,        // +40: saved rbp
		at("outer_ret"), // +48
		5, 6, 7,         // +56: locals of outer
		at("bottom_ret"), // +80
	}
	regs := target.NewRegs(arch.X86_64)
	set := func(pc, sp, fp uint64) target.Regs {
		r := regs
		r.Set(arch.X86RIP, pc)
		r.Set(arch.X86RSP, sp)
		r.Set(arch.X86RBP, fp)
		return r
	}
	mem := stackAt(top, words...)
	for _, tc := range []struct {
		name string
		regs target.Regs
		opt  unwind.Options
		want string
	}{
		{"leaf without information", set(at("leaf")+1, top, top+40), unwind.Options{},
			"leaf context, framed prologue, outer frame-pointer, bottom cfi"},
		{"before the frame pointer is pushed", set(at("framed"), top+48, 0), unwind.Options{},
			"framed context, outer prologue, bottom cfi"},
		{"between push and mov", set(at("framed")+1, top+40, 0), unwind.Options{},
			"framed context, outer prologue, bottom cfi"},
		{"frame pointer", set(at("framed_ret"), top+8, top+40), unwind.Options{},
			"framed context, outer frame-pointer, bottom cfi"},
		{"jump through a bad pointer", set(0x10, top, top+40), unwind.Options{},
			"? context, framed prologue, outer frame-pointer, bottom cfi"},
		{"no frame pointer", set(0x10, top+8, 0x10), unwind.Options{},
			"? context, outer scan, bottom cfi"},
		{"entry named", set(at("leaf")+1, top, top+40), unwind.Options{Entries: []string{"outer"}},
			"leaf context, framed prologue, outer frame-pointer"},
	} {
		if got, err := walk(t, mods, mem, tc.regs, tc.opt); err != nil || got != tc.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", tc.name, got, err, tc.want)
		}
	}
	got, err := walk(t, mods, mem, set(0x10, top+8, 0x10), unwind.Options{NoScan: true})
	var stop *unwind.StopError
	if !errors.As(err, &stop) || got != "? context" {
		t.Errorf("without scan: %s, %v", got, err)
	}
}

func TestX86Trap(t *testing.T) {
	im, mods := image(t, "gcc", x86Asm)
	at := func(name string) uint64 { return addr(t, im, name) }
	// outer was called by the trap that interrupted leaf, on another stack.
	mem := stackAt(top,
		1, 2, 3, at("trap_ret"), // outer
		0x1111,                               // rbp pushed by the trap's entry
		at("leaf"), 8, 0x202, top+0x60, 0x10, // rip cs eflags rsp ss
		0, 0,
		at("outer_ret"), 5, 6, 7, at("bottom_ret"), // +0x60
	)
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86RIP, at("outer")+4)
	regs.Set(arch.X86RSP, top)
	regs.Set(arch.X86RBP, 0)
	frames, err := unwind.Unwind(context.Background(), mem, mods, regs, unwind.Options{})
	if err != nil || len(frames) != 5 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if f := frames[1]; !f.Trap || f.LookupPC != f.PC-1 {
		t.Errorf("the trap's entry: trap %v, pc %#x, looked up at %#x", f.Trap, f.PC, f.LookupPC)
	}
	f := frames[2]
	if f.PC != at("leaf") || f.LookupPC != f.PC || f.Regs.FP() != 0x1111 || f.Regs.SP() != top+0x60 {
		t.Errorf("what was interrupted: pc %#x, looked up at %#x, rbp %#x, rsp %#x", f.PC, f.LookupPC, f.Regs.FP(), f.Regs.SP())
	}
	if frames[3].How != unwind.Prologue || frames[4].How != unwind.CFI {
		t.Errorf("callers of the leaf: %v, %v", frames[3].How, frames[4].How)
	}
}

func TestARM64(t *testing.T) {
	im, mods := image(t, "aarch64-linux-gnu-gcc", arm64Asm)
	at := func(name string) uint64 { return addr(t, im, name) }
	pac := uint64(0x2a) << 56
	mem := stackAt(top,
		0, at("bottom_ret")|pac, 1, 2, // outer's frame record, its return address signed
		0, 0)
	regs := target.NewRegs(arch.ARM64)
	regs.Set(arch.ARM64PC, at("leaf"))
	regs.Set(arch.ARM64SP, top)
	regs.Set(arch.ARM64FP, top)
	regs.Set(arch.ARM64LR, at("outer_ret"))
	if got, err := walk(t, mods, mem, regs, unwind.Options{}); err != nil || got != "leaf context, outer prologue, bottom cfi" {
		t.Errorf("leaf: %s, %v", got, err)
	}
	regs.Forget(arch.ARM64LR)
	if got, err := walk(t, mods, mem, regs, unwind.Options{}); err != nil || got != "leaf context, bottom frame-pointer" {
		t.Errorf("leaf without a link register: %s, %v", got, err)
	}

	// A trap that call frame information does not describe, read by a hook.
	regs.Set(arch.ARM64PC, at("outer_ret"))
	trapped := stackAt(top, top+0x40, at("el1_ret"), 1, 2, 0x77)
	hook := func(ctx context.Context, mem target.Memory, f *unwind.Frame) (target.Regs, bool) {
		if name, _ := symbolAt(mods, f.LookupPC); name != "el1_sync" {
			return target.Regs{}, false
		}
		x0, err := target.ReadUint(ctx, mem, f.Regs.SP(), 8)
		if err != nil {
			t.Error(err)
		}
		r := target.NewRegs(arch.ARM64)
		r.Set(0, x0)
		r.Set(arch.ARM64PC, at("bottom"))
		r.Set(arch.ARM64SP, 0x9000)
		return r, true
	}
	frames, err := unwind.Unwind(context.Background(), trapped, mods, regs, unwind.Options{TrapFrame: hook})
	if err != nil || len(frames) != 3 || !frames[1].Trap || frames[2].How != unwind.Context || frames[2].LookupPC != at("bottom") {
		t.Fatalf("%+v, %v", frames, err)
	}
	if x0, ok := frames[2].Regs.Get(0); !ok || x0 != 0x77 {
		t.Errorf("x0 is %#x, %v", x0, ok)
	}
}

func TestDamagedStacks(t *testing.T) {
	im, mods := image(t, "gcc", x86Asm)
	at := func(name string) uint64 { return addr(t, im, name) }
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86RIP, at("framed_ret"))
	regs.Set(arch.X86RSP, top)
	regs.Set(arch.X86RBP, top)
	var stop *unwind.StopError

	// A frame record that names itself.
	_, err := walk(t, mods, stackAt(top, top, at("framed_ret")), regs, unwind.Options{})
	if !errors.As(err, &stop) || stop.Frame > 2 {
		t.Errorf("record that names itself: %v", err)
	}
	// Two that name each other.
	_, err = walk(t, mods, stackAt(top, top+16, at("framed_ret"), top, at("framed_ret")), regs, unwind.Options{})
	if !errors.As(err, &stop) || stop.Frame > 3 {
		t.Errorf("records in a circle: %v", err)
	}
	// A stack that goes on for ever.
	var words []uint64
	for i := range uint64(4000) {
		words = append(words, top+16*(i+1), at("framed_ret"))
	}
	frames, err := unwind.Unwind(context.Background(), stackAt(top, words...), mods, regs, unwind.Options{})
	if !errors.As(err, &stop) || len(frames) != 256 {
		t.Errorf("endless stack: %d frames, %v", len(frames), err)
	}
	if frames, _ = unwind.Unwind(context.Background(), stackAt(top, words...), mods, regs, unwind.Options{Max: 7}); len(frames) != 7 {
		t.Errorf("limit of 7: %d frames", len(frames))
	}
	// No memory at all.
	regs.Set(arch.X86RIP, at("outer_ret"))
	_, err = walk(t, mods, stackAt(0x100), regs, unwind.Options{})
	var fault *target.FaultError
	if !errors.As(err, &stop) || !errors.As(err, &fault) {
		t.Errorf("unreadable stack: %v", err)
	}
	// A lost link is told as such.
	_, err = walk(t, mods, lostMemory{}, regs, unwind.Options{})
	if !errors.Is(err, target.ErrLost) {
		t.Errorf("lost link: %v", err)
	}
	if _, err := walk(t, mods, lostMemory{}, target.Regs{}, unwind.Options{}); err == nil {
		t.Error("registers of no architecture are taken")
	}
}

type lostMemory struct{}

func (lostMemory) ReadMemory(context.Context, []byte, uint64) (int, error) { return 0, target.ErrLost }

// pages gives nothing for a read that runs into a hole, as QEMU's stub does.
type pages struct{ w *window }

func (p pages) ReadMemory(ctx context.Context, b []byte, addr uint64) (int, error) {
	n, err := p.w.ReadMemory(ctx, b, addr)
	if err != nil {
		return 0, err
	}
	return n, nil
}

func TestAllOrNothingReads(t *testing.T) {
	im, mods := image(t, "gcc", x86Asm)
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86RIP, addr(t, im, "outer_ret"))
	regs.Set(arch.X86RSP, top)
	mem := pages{stackAt(top, 1, 2, 3, addr(t, im, "bottom_ret"))}
	if got, err := walk(t, mods, mem, regs, unwind.Options{}); err != nil || got != "outer context, bottom cfi" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestNoAllocationPerFrame walks a deep stack with work space that is reused.
func TestNoAllocationPerFrame(t *testing.T) {
	im, mods := image(t, "gcc", x86Asm)
	mem, regs := deepStack(t, im)
	u := unwind.New(mods, unwind.Options{})
	frames := make([]unwind.Frame, 0, 256)
	ctx := context.Background()
	n := testing.AllocsPerRun(20, func() {
		var err error
		if frames, err = u.Append(ctx, frames[:0], mem, regs); err != nil || len(frames) != 102 {
			t.Fatal(len(frames), err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for 102 frames", n)
	}
}

// deepStack is 100 calls of outer by itself, below bottom.
func deepStack(t testing.TB, im *symbolizer.Image) (*window, target.Regs) {
	var words []uint64
	for range 100 {
		words = append(words, 1, 2, 3, addr(t, im, "outer_ret"))
	}
	words = append(words, 1, 2, 3, addr(t, im, "bottom_ret"))
	words = append(words, make([]uint64, 256)...) // so that no read runs into the end, which allocates an error
	regs := target.NewRegs(arch.X86_64)
	regs.Set(arch.X86RIP, addr(t, im, "outer")+4)
	regs.Set(arch.X86RSP, top)
	return stackAt(top, words...), regs
}

func BenchmarkFrame(b *testing.B) {
	im, mods := image(b, "gcc", x86Asm)
	mem, regs := deepStack(b, im)
	u := unwind.New(mods, unwind.Options{})
	frames := make([]unwind.Frame, 0, 256)
	n := 0
	for b.Loop() {
		frames, _ = u.Append(context.Background(), frames[:0], mem, regs)
		n += len(frames)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/frame")
}

// FuzzStack walks stacks of any content from any registers.
func FuzzStack(f *testing.F) {
	im, mods := image(f, "gcc", x86Asm)
	armIm, armMods := image(f, "aarch64-linux-gnu-gcc", arm64Asm)
	deep, _ := deepStack(f, im)
	f.Add(deep.data, addr(f, im, "outer")+4, uint64(top), uint64(top), false)
	f.Add(deep.data, addr(f, armIm, "outer_ret"), uint64(top), uint64(top), true)
	f.Add([]byte{1, 2, 3}, uint64(0x10), uint64(top), ^uint64(7), false)
	f.Fuzz(func(t *testing.T, data []byte, pc, sp, fp uint64, arm bool) {
		if len(data) > 1<<16 {
			return
		}
		regs, m := target.NewRegs(arch.X86_64), mods
		if arm {
			regs, m = target.NewRegs(arch.ARM64), armMods
			regs.Set(arch.ARM64LR, fp^sp)
		}
		regs.Set(regs.Arch.PC, pc)
		regs.Set(regs.Arch.SP, sp)
		regs.Set(regs.Arch.FP, fp)
		frames, err := unwind.Unwind(context.Background(), &window{addr: top, data: data}, m, regs, unwind.Options{})
		if len(frames) == 0 || len(frames) > 256 {
			t.Errorf("%d frames, %v", len(frames), err)
		}
	})
}
