package unikraft

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// page is memory that begins at an address.
type page struct {
	addr uint64
	data []byte
}

func (p page) ReadMemory(_ context.Context, b []byte, addr uint64) (int, error) {
	if off := addr - p.addr; off < uint64(len(p.data)) {
		if n := copy(b, p.data[off:]); n == len(b) {
			return n, nil
		}
	}
	return 0, &target.FaultError{Addr: addr}
}

// A Unikraft stub is named after its trap, and the error code is in the
// registers it pushed, if call frame information proves that they are there.
func TestTrapCauseX86(t *testing.T) {
	const stubSP, userSP, code = 0x9000, 0x7700, 0x12
	regs := page{stubSP, make([]byte, 64)}
	binary.LittleEndian.PutUint64(regs.data[16:], code)
	binary.LittleEndian.PutUint64(regs.data[40:], userSP)
	for _, tt := range []struct {
		stub           string
		cfa            uint64
		trap, code     uint64
		trapOK, codeOK bool
	}{
		{"asm_trap_page_fault", stubSP + 32, 14, code, true, true}, // as in Unikraft: the end of rip
		{"asm_trap_page_fault", userSP, 14, code, true, true},
		{"asm_trap_page_fault", stubSP + 40, 14, 0, true, false}, // not proved
		{"asm_trap_gp_fault", stubSP + 32, 13, code, true, true},
		{"asm_trap_divide_error", stubSP + 32, 0, 0, true, false}, // pushes none
		{"asm_trap_of_the_future", stubSP + 32, 0, 0, false, false},
		{"asm_irq_0", stubSP + 32, 0, 0, false, false},
	} {
		img := newImage(arch.X86_64)
		img.symbols[tt.stub] = [2]uint64{0x600, 0x40}
		img.fields["__regs"] = map[string][2]uint64{"orig_rax": {16, 8}, "rip": {24, 8}, "rsp": {40, 8}}
		img.sizes["__regs"] = 48
		k, err := New(Config{Image: img, Memory: regs})
		if err != nil {
			t.Fatal(err)
		}
		f := unwind.Frame{LookupPC: 0x620, CFA: tt.cfa, Regs: target.NewRegs(arch.X86_64), Trap: true}
		f.Regs.Set(arch.X86RSP, stubSP)
		trap, code, trapOK, codeOK := k.TrapCause(context.Background(), []unwind.Frame{f})
		if trap != tt.trap || code != tt.code || trapOK != tt.trapOK || codeOK != tt.codeOK {
			t.Errorf("%s, CFA %#x: trap %d (%v), code %#x (%v)", tt.stub, tt.cfa, trap, trapOK, code, codeOK)
		}
	}
	k, err := New(Config{Image: newImage(arch.X86_64), Memory: regs})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, trapOK, codeOK := k.TrapCause(context.Background(), nil); trapOK || codeOK {
		t.Error("a trap without frames")
	}
}

// What interrupts code without its fault is told from what does with it, by the
// entry's name and on arm64 by the syndrome it saved.
func TestNoFault(t *testing.T) {
	const stubSP = 0x9000
	for _, tt := range []struct {
		arch  *arch.Arch
		entry string
		esr   uint64
		want  bool
	}{
		{arch.X86_64, "asm_trap_page_fault", 0, false},
		{arch.X86_64, "cpu_irq_4", 0, true},
		{arch.X86_64, "asm_irq_4", 0, true},
		{arch.X86_64, "main", 0, false},
		{arch.ARM64, "el1_irq", 0, true},
		{arch.ARM64, "el1_irq_invalid", 0, false},
		{arch.ARM64, "el1_sync", 0x56000000, true},
		{arch.ARM64, "el1_sync", 0x96000046, false},
		{arch.ARM64, "el1_sync_invalid", 0x56000000, false},
	} {
		regs := page{stubSP, make([]byte, 64)}
		binary.LittleEndian.PutUint64(regs.data[8:], tt.esr)
		img := newImage(tt.arch)
		img.symbols[tt.entry] = [2]uint64{0x600, 0x40}
		img.fields["__regs"] = map[string][2]uint64{"esr_el1": {8, 8}}
		img.sizes["__regs"] = 48
		k, err := New(Config{Image: img, Memory: regs})
		if err != nil {
			t.Fatal(err)
		}
		f := unwind.Frame{LookupPC: 0x620, Regs: target.NewRegs(tt.arch), Trap: true}
		f.Regs.Set(tt.arch.SP, stubSP)
		if got := k.NoFault(context.Background(), []unwind.Frame{f}); got != tt.want {
			t.Errorf("%s with syndrome %#x is no fault: %v", tt.entry, tt.esr, got)
		}
	}
	k, err := New(Config{Image: newImage(arch.ARM64), Memory: page{}})
	if err != nil {
		t.Fatal(err)
	}
	if k.NoFault(context.Background(), nil) {
		t.Error("a handler without frames")
	}
}
