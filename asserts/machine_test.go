package asserts

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// machine builds a Machine with code at pc 0x100000 (preceded by before) and
// the registers given by gdb name.
func machine(t *testing.T, a *arch.Arch, before, code []byte, regs map[string]uint64, more ...MemoryRow) Machine {
	t.Helper()
	const pc = 0x100000
	set := target.NewRegs(a)
	set.Set(a.PC, pc)
	for name, v := range regs {
		r, ok := a.Reg(name)
		if !ok {
			t.Fatalf("no register %s", name)
		}
		set.Set(r.Num, v)
	}
	rows := append(rowMemory{{Addr: pc - uint64(len(before)), Data: before}, {Addr: pc, Data: code}}, more...)
	return Machine{Regs: set, Memory: rows}
}

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func TestDecodeX86(t *testing.T) {
	kcfi := append([]byte{0x41, 0xba}, le32(0x635ad9ac)...)
	kcfi = append(kcfi, 0x44, 0x03, 0x50, 0xfc, 0x74, 0x02) // addl -4(%rax), %r10d; je
	kcfi12 := append([]byte{0x41, 0xba}, le32(0x635ad9ac)...)
	kcfi12 = append(kcfi12, 0x45, 0x03, 0x54, 0x24, 0xfc, 0x74, 0x02) // r12
	flag := append([]byte{0xc6, 0x05}, append(le32(0x1000), 1)...)
	flagAbs := append([]byte{0xc6, 0x04, 0x25}, append(le32(0x101000), 1)...)
	nop := []byte{0x90}
	tests := []struct {
		name         string
		before, code []byte
		trap, ec     Word
		regs, system map[string]uint64
		rows         []MemoryRow
		page         Page
		kind         Kind
		sub          string
		detail       map[string]string
		inferred     string
		addr         Word
	}{
		{name: "ud2", before: nop, code: []byte{0x0f, 0x0b}, trap: Value(6), kind: InvalidOpcode, sub: SubCompilerTrap},
		{name: "ud2 without a trap number", before: nop, code: []byte{0x0f, 0x0b}, kind: InvalidOpcode,
			sub: SubCompilerTrap, inferred: "invalid opcode"},
		{name: "uk_crash", before: flag, code: []byte{0x0f, 0x0b}, trap: Value(6), kind: ExplicitCrash, inferred: "UK_CRASH"},
		{name: "uk_crash absolute", before: flagAbs, code: []byte{0x0f, 0x0b}, trap: Value(6), kind: ExplicitCrash},
		{name: "ubsan shift", before: nop, code: []byte{0x67, 0x0f, 0xb9, 0x40, 0x14}, trap: Value(6),
			kind: UndefinedBehavior, sub: "shift"},
		{name: "ubsan kind 0", before: nop, code: []byte{0x67, 0x0f, 0xb9, 0x00}, trap: Value(6),
			kind: UndefinedBehavior, sub: "add-overflow"},
		{name: "ubsan unknown kind", before: nop, code: []byte{0x67, 0x0f, 0xb9, 0x40, 0x7f}, trap: Value(6),
			kind: UndefinedBehavior, sub: "kind-127"},
		{name: "clang cfi", before: nop, code: []byte{0x67, 0x0f, 0xb9, 0x40, 0x02}, trap: Value(6),
			kind: ControlFlowIntegrity, sub: "clang-cfi"},
		{name: "kcfi", before: append(nop, kcfi...), code: []byte{0x0f, 0x0b}, trap: Value(6),
			regs: map[string]uint64{"rax": 0x200010}, rows: []MemoryRow{{0x20000c, le32(0x11223344)}},
			kind: ControlFlowIntegrity, sub: SubKCFI,
			detail: map[string]string{"expected type": "0x9ca52654", "target": "0x200010", "actual type": "0x11223344"}},
		{name: "kcfi r12, target unreadable", before: kcfi12, code: []byte{0x0f, 0x0b}, trap: Value(6),
			regs: map[string]uint64{"r12": 0x200010}, kind: ControlFlowIntegrity, sub: SubKCFI,
			detail: map[string]string{"target": "0x200010", "actual type": "unreadable"}},
		{name: "null read", code: []byte{0x8b, 0x40, 0x08}, trap: Value(14), ec: Value(0),
			system: map[string]uint64{"cr2": 8}, kind: PageFault, sub: SubNullDereference, inferred: "null pointer", addr: Value(8)},
		{name: "read-only", code: []byte{0x89, 0x03}, trap: Value(14), ec: Value(3),
			system: map[string]uint64{"cr2": 0x105000}, kind: PageFault, sub: SubWriteToReadOnly, addr: Value(0x105000)},
		{name: "reserved bit", code: nop, trap: Value(14), ec: Value(9), system: map[string]uint64{"cr2": 0x105000},
			kind: PageFault, sub: SubReservedBit, addr: Value(0x105000)},
		{name: "wild jump", trap: Value(14), ec: Value(0x10), system: map[string]uint64{"cr2": 0x100000},
			regs: map[string]uint64{"rsp": 0x8000}, rows: []MemoryRow{{0x8000, le64(0x123456)}},
			kind: PageFault, sub: SubWildJump, inferred: "called from before 0x123456", addr: Value(0x100000)},
		{name: "no-execute", code: nop, trap: Value(14), ec: Value(0x11), system: map[string]uint64{"cr2": 0x100000},
			kind: PageFault, sub: SubExecuteNoExecute, addr: Value(0x100000)},
		{name: "stack overflow", code: []byte{0x50}, trap: Value(14), ec: Value(2),
			system: map[string]uint64{"cr2": 0x20fff8}, regs: map[string]uint64{"rsp": 0x210000},
			kind: StackOverflow, inferred: "stack overflow", addr: Value(0x20fff8)},
		{name: "pkey access", code: []byte{0x8b, 0x03}, trap: Value(14), ec: Value(0x25),
			system: map[string]uint64{"cr2": 0x402008, "pkru": 0x40}, page: Page{Present: true, Key: 3},
			kind: ProtectionKey, sub: SubAccessDisabled, detail: map[string]string{"key": "3", "pkru": "0x40"}, addr: Value(0x402008)},
		{name: "pkey write", code: []byte{0x89, 0x03}, trap: Value(14), ec: Value(0x27),
			system: map[string]uint64{"cr2": 0x402008, "pkru": 0x80}, page: Page{Present: true, Key: 3},
			kind: ProtectionKey, sub: SubWriteDisabled, addr: Value(0x402008)},
		{name: "pkey with a PKRU that allows", code: []byte{0x89, 0x03}, trap: Value(14), ec: Value(0x27),
			system: map[string]uint64{"cr2": 0x402008, "pkru": 0}, page: Page{Present: true, Key: 3},
			kind: ProtectionKey, inferred: "changed after the fault", addr: Value(0x402008)},
		{name: "non-canonical", code: []byte{0x8b, 0x40, 0x08}, trap: Value(13), ec: Value(0),
			regs: map[string]uint64{"rax": 0x8000000000000000}, kind: GeneralProtection, sub: SubNonCanonical,
			inferred: "non-canonical address 0x8000000000000008"},
		{name: "inline kasan shadow", code: []byte{0x80, 0x38, 0x00}, trap: Value(13), ec: Value(0),
			regs: map[string]uint64{"rax": 0xdffffc0000000001}, kind: GeneralProtection, sub: SubNonCanonical,
			inferred: "stands for pointer 0x8 to 0xf"},
		{name: "corrupt return", code: []byte{0xc3}, trap: Value(13), ec: Value(0), regs: map[string]uint64{"rsp": 0x8000},
			rows: []MemoryRow{{0x8000, le64(0x4141414141414141)}}, kind: GeneralProtection, sub: SubUnmappedReturn,
			detail: map[string]string{"return address": "0x4141414141414141"}},
		{name: "selector", code: nop, trap: Value(13), ec: Value(0x2b), kind: GeneralProtection,
			detail: map[string]string{"selector": "0x28"}},
		{name: "division by zero", code: []byte{0xf7, 0xf9}, trap: Value(0), regs: map[string]uint64{"rcx": 0xff00000000},
			kind: DivideError, sub: SubDivideByZero, inferred: "divisor"},
		{name: "quotient overflow", code: []byte{0x48, 0xf7, 0xf9}, trap: Value(0), regs: map[string]uint64{"rcx": 1},
			kind: DivideError, sub: SubDivideOverflow},
		{name: "int3", code: nop, trap: Value(3), kind: Breakpoint},
		{name: "control protection", code: nop, trap: Value(21), ec: Value(3), kind: ControlProtection, sub: "endbranch"},
		{name: "double fault on a gone stack", code: nop, trap: Value(8), ec: Value(0), regs: map[string]uint64{"rsp": 0x8000},
			kind: StackOverflow, inferred: "left the stack"},
		{name: "no vector units", code: nop, trap: Value(7), kind: FloatingPoint, sub: SubFPDisabled},
		{name: "simd exception", code: nop, trap: Value(19), kind: FloatingPoint, sub: SubFPException},
		{name: "unknown vector", code: nop, trap: Value(28), kind: UnknownTrap},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, arch.X86_64, tt.before, tt.code, tt.regs, tt.rows...)
			m.Trap, m.ErrorCode, m.System = tt.trap, tt.ec, tt.system
			m.Page = func(context.Context, uint64) (Page, error) { return tt.page, nil }
			f, err := Decode(context.Background(), m)
			if err != nil {
				t.Fatal(err)
			}
			check(t, f, tt.kind, tt.sub, tt.addr, tt.detail, tt.inferred)
			if tt.inferred == "" && len(f.Inferred) > 0 && tt.sub != SubDivideOverflow && tt.sub != SubUnmappedReturn && tt.kind != ExplicitCrash {
				t.Errorf("inferred without need: %q", f.Inferred)
			}
		})
	}
}

func check(t *testing.T, f *Fault, kind Kind, sub string, addr Word, detail map[string]string, inferred string) {
	t.Helper()
	if f.Kind != kind || f.Subkind != sub || f.Address != addr {
		t.Errorf("got %s/%s at %+v, want %s/%s at %+v", f.Kind, f.Subkind, f.Address, kind, sub, addr)
	}
	for name, want := range detail {
		if got := f.Detail(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(strings.Join(f.Inferred, "\n"), inferred) {
		t.Errorf("%q is not in %q", inferred, f.Inferred)
	}
	if f.Reason == "" {
		t.Error("no reason")
	}
}

func TestDecodeARM64(t *testing.T) {
	tests := []struct {
		name         string
		code         []byte
		esr          Word
		regs, system map[string]uint64
		rows         []MemoryRow
		kind         Kind
		sub          string
		detail       map[string]string
		inferred     string
		addr         Word
	}{
		{name: "ubsan brk", esr: Value(0xf2005512), kind: UndefinedBehavior, sub: SubOutOfBounds},
		{name: "clang cfi", esr: Value(0xf2005502), kind: ControlFlowIntegrity, sub: "clang-cfi"},
		{name: "kcfi", esr: Value(0xf2008221), regs: map[string]uint64{"x1": 0x40200010, "x17": 0xffffffff7e0c52a5},
			rows: []MemoryRow{{0x4020000c, le32(0xa488ebfc)}}, kind: ControlFlowIntegrity, sub: SubKCFI,
			detail: map[string]string{"expected type": "0x7e0c52a5", "actual type": "0xa488ebfc", "target": "0x40200010"}},
		{name: "hwasan", esr: Value(0xf2000922), regs: map[string]uint64{"x0": 0x1234}, kind: AddressSanitizer,
			sub: SubHWAddress, detail: map[string]string{"size": "4"}, addr: Value(0x1234)},
		{name: "gcc trap", esr: Value(0xf20003e8), kind: Breakpoint, sub: SubCompilerTrap},
		{name: "linux bug", esr: Value(0xf2000800), kind: Bug},
		{name: "brk without esr", code: le32(0xd4200000 | 0x1234<<5), kind: Breakpoint, inferred: "brk",
			detail: map[string]string{"brk": "0x1234"}},
		{name: "uk_crash", code: le32(0xdeff), esr: Value(0x02000000), kind: ExplicitCrash},
		{name: "undefined", code: le32(0x00000000), esr: Value(0x02000000), kind: InvalidOpcode, sub: SubUndefinedOpcode},
		{name: "null write", esr: Value(0x96000046), system: map[string]uint64{"esr_el1": 0x96000046, "far_el1": 8},
			kind: PageFault, sub: SubNullDereference, inferred: "null", addr: Value(8)},
		{name: "far of another fault", esr: Value(0x96000046), system: map[string]uint64{"esr_el1": 0x5600dead, "far_el1": 8},
			kind: PageFault, sub: SubNotPresent},
		{name: "permission", esr: Value(0x9600004f), system: map[string]uint64{"esr_el1": 0x9600004f, "far_el1": 0x40100000},
			kind: PageFault, sub: SubWriteToReadOnly, addr: Value(0x40100000)},
		{name: "jump to nowhere", esr: Value(0x86000004), system: map[string]uint64{"esr_el1": 0x86000004, "far_el1": 0x100000},
			regs: map[string]uint64{"x30": 0x40123456}, kind: PageFault, sub: SubWildJump,
			inferred: "link register", addr: Value(0x100000)},
		{name: "far not valid", esr: Value(0x96000444), system: map[string]uint64{"esr_el1": 0x96000444, "far_el1": 8},
			kind: PageFault, sub: SubNotPresent},
		{name: "esr proved by elr", system: map[string]uint64{"esr_el1": 0xf2005514, "elr_el1": 0x100000},
			kind: UndefinedBehavior, sub: "shift"},
		{name: "alignment", esr: Value(0x96000061), kind: Alignment},
		{name: "mte", esr: Value(0x96000011), kind: MemoryTag, sub: "synchronous"},
		{name: "bti", esr: Value(0x0d<<26 | 2), kind: BranchTarget, detail: map[string]string{"btype": "2"}},
		{name: "fpac", esr: Value(0x1c<<26 | 1), kind: PointerAuthentication, sub: SubPointerAuthFailed},
		{name: "no vector units", esr: Value(0x1fe00000), kind: FloatingPoint, sub: SubFPDisabled},
		{name: "sve", esr: Value(0x19 << 26), kind: FloatingPoint, sub: SubFPDisabled},
		{name: "floating-point exception", esr: Value(0x2c<<26 | 1<<23 | 0x12), kind: FloatingPoint, sub: SubFPException},
		{name: "system call", esr: Value(0x15 << 26), kind: UnknownTrap},
		{name: "serror", esr: Value(0x2f << 26), kind: MachineCheck, sub: "serror"},
		{name: "stack", esr: Value(0x96000047), system: map[string]uint64{"esr_el1": 0x96000047, "far_el1": 0x4020fff0},
			regs: map[string]uint64{"sp": 0x4020fff0}, kind: StackOverflow, inferred: "stack overflow", addr: Value(0x4020fff0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, arch.ARM64, nil, tt.code, tt.regs, tt.rows...)
			m.ErrorCode, m.System = tt.esr, tt.system
			f, err := Decode(context.Background(), m)
			if err != nil {
				t.Fatal(err)
			}
			check(t, f, tt.kind, tt.sub, tt.addr, tt.detail, tt.inferred)
		})
	}
}

func TestTrapsInWords(t *testing.T) {
	for esr, want := range map[uint64]string{
		0x1fe00000:              "an instruction that uses floating-point or SIMD registers was executed while they are disabled (CPACR_EL1.FPEN; Unikraft enables them by CONFIG_FPSIMD)",
		0x2c<<26 | 1<<23 | 0x12: "a floating-point operation raised an exception that is not masked: divide by zero, inexact",
		0x2c<<26 | 0x12:         "a floating-point operation raised an exception that is not masked", // not told which: TFV is 0
		0x15 << 26:              "a system call (svc) that nothing handles (exception class 0x15)",
		0x3f << 26:              "exception class 0x3f",
	} {
		m := machine(t, arch.ARM64, nil, nil, nil)
		m.ErrorCode = Value(esr)
		f, err := Decode(context.Background(), m)
		if err != nil || f.Reason != want {
			t.Errorf("ESR %#x: %q, %v, want %q", esr, f.Reason, err, want)
		}
	}
}

func TestNoFault(t *testing.T) {
	for name, m := range map[string]Machine{
		"x86 hlt":   machine(t, arch.X86_64, []byte{0xf4}, []byte{0xeb, 0xfd}, nil),
		"x86 load":  machine(t, arch.X86_64, nil, []byte{0x8b, 0x00}, map[string]uint64{"rax": 0}),
		"arm64 wfi": machine(t, arch.ARM64, nil, le32(0xd503207f), nil),
		"no memory": {Regs: machine(t, arch.X86_64, nil, nil, nil).Regs},
		"stale syndrome": func() Machine {
			m := machine(t, arch.ARM64, nil, le32(0xd503207f), nil)
			m.System = map[string]uint64{"esr_el1": 0xf2005514, "elr_el1": 0x40123450}
			return m
		}(),
	} {
		if f, err := Decode(context.Background(), m); !errors.Is(err, ErrNoFault) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := Decode(context.Background(), Machine{}); err == nil {
		t.Error("a machine without an architecture was decoded")
	}
}

// TestTrapFrame: a trap frame without a vector, as Unikraft's, is explained by
// its instruction and CR2; a machine that merely stands there is not.
func TestTrapFrame(t *testing.T) {
	for name, tt := range map[string]struct {
		before, code []byte
		regs, system map[string]uint64
		kind         Kind
		sub          string
		addr         Word
	}{
		"null":          {nil, []byte{0x8b, 0x40, 0x08}, map[string]uint64{"rax": 0}, nil, PageFault, SubNullDereference, Word{}},
		"cr2":           {nil, []byte{0x8b, 0x40, 0x08}, map[string]uint64{"rax": 0x7000}, map[string]uint64{"cr2": 0x7008}, PageFault, "", Value(0x7008)},
		"jump":          {nil, nil, map[string]uint64{"rax": 0}, map[string]uint64{"cr2": 0x100000}, PageFault, SubWildJump, Value(0x100000)},
		"push":          {nil, []byte{0x50}, map[string]uint64{"rsp": 0x8000}, map[string]uint64{"cr2": 0x7ff8}, StackOverflow, "", Value(0x7ff8)},
		"non-canonical": {nil, []byte{0x8b, 0x40, 0x08}, map[string]uint64{"rax": 1 << 63}, nil, GeneralProtection, SubNonCanonical, Word{}},
		"division":      {nil, []byte{0xf7, 0xf9}, map[string]uint64{"rcx": 0}, nil, DivideError, SubDivideByZero, Word{}},
		"int3":          {[]byte{0xcc}, []byte{0x90}, map[string]uint64{"rcx": 0}, nil, Breakpoint, "", Word{}},
	} {
		m := machine(t, arch.X86_64, tt.before, tt.code, tt.regs)
		m.System = tt.system
		if f, err := Decode(context.Background(), m); !errors.Is(err, ErrNoFault) {
			t.Errorf("%s: not trapped, but %v, %v", name, f, err)
		}
		m.Trapped = true
		f, err := Decode(context.Background(), m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, f, tt.kind, tt.sub, tt.addr, nil, "")
		if len(f.Inferred) == 0 {
			t.Errorf("%s: inferred without saying so", name)
		}
	}
}

// TestUKCrashFlag: with symbols at hand the flag must be UK_CRASH's.
func TestUKCrashFlag(t *testing.T) {
	flag := append([]byte{0xc6, 0x05}, append(le32(0x1000), 1)...)
	for name, kind := range map[string]Kind{explicitFlag: ExplicitCrash, "ready": InvalidOpcode} {
		m := machine(t, arch.X86_64, flag, []byte{0x0f, 0x0b}, nil)
		m.Trap = Value(6)
		m.Symbol = func(addr uint64) (string, uint64, bool) { return name, 0, addr == 0x101000 }
		f, err := Decode(context.Background(), m)
		if err != nil || f.Kind != kind {
			t.Errorf("%s: %v, %v; want %s", name, f, err, kind)
		}
	}
}

// TestRefine: an image's bytes explain a screen that says nothing.
func TestRefine(t *testing.T) {
	f := scanAll(t, readLog(t, "0.20-crash-screen"))[0]
	m := Machine{Memory: rowMemory{{Addr: f.PC.V, Data: []byte{0x8b, 0x43, 0x10}}}} // mov 0x10(%rbx),%eax
	Refine(context.Background(), f, m)
	if f.Kind != PageFault || f.Subkind != SubNullDereference || f.InferredAddress != Value(0x10) || f.Address.Known {
		t.Errorf("got %s/%s, inferred address %+v", f.Kind, f.Subkind, f.InferredAddress)
	}
	if f.Reason != "read of 0x10 (inferred) through a null pointer" {
		t.Errorf("reason %q", f.Reason)
	}
	if !strings.Contains(strings.Join(f.NotPrinted, ","), "fault address") {
		t.Errorf("not printed: %q", f.NotPrinted)
	}
}

func TestSystemValues(t *testing.T) {
	got := SystemValues(map[string][]byte{"CR2": {1, 2}, "xmm0": make([]byte, 16), "none": nil})
	if len(got) != 1 || got["cr2"] != 0x201 {
		t.Errorf("got %v", got)
	}
}
