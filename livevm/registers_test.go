//go:build linux

package livevm

import (
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

const x86Text = `
CPU#0
RAX=000000000000002d RBX=000000000023c020 RCX=000000054495dcf4 RDX=00000000016a0215
RSI=000000000023d020 RDI=000000007038eb2b RBP=0000000003fc7fe0 RSP=0000000003fc7fb8
R8 =0000000000000001 R9 =0000000000001000 R10=00000000000000f5 R11=0000000000000001
R12=000000000023c180 R13=000000007038eb2b R14=0000000000000001 R15=0000000000000007
RIP=0000000000107892 RFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
CS =0008 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
FS =0000 0000000000001234 00000000 00000000
GS =0000 0000000000113120 00000000 00000000
CR0=80010011 CR2=0000000000000000 CR3=0000000000215000 CR4=00000020
EFER=0000000000000d00
CPU#1
EAX=00000001 EBX=00000002
EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
EFER=0000000000000000
`

const arm64Text = `
CPU#0
 PC=0000000040207ed4 X00=0000000000000001 X01=000000000005e557
X02=0000000003b9aca0 X03=0000000040328000 X29=0000000040337fc0 X30=0000000040204ce0  SP=0000000040337fb0
PSTATE=800003c4 N--- EL1t  SVCR=00000000 --  BTYPE=0    FPU disabled
`

func TestParseRegisters(t *testing.T) {
	if archOf(x86Text) != arch.X86_64 || archOf(arm64Text) != arch.ARM64 || archOf("hello") != nil {
		t.Error("architecture")
	}
	cpus, err := parseRegisters(x86Text, arch.X86_64)
	if err != nil || len(cpus) != 2 {
		t.Fatalf("%d, %v", len(cpus), err)
	}
	for num, want := range map[int]uint64{
		arch.X86RAX: 0x2d, arch.X86R8: 1, 9: 0x1000, arch.X86R15: 7, arch.X86RIP: 0x107892, arch.X86RSP: 0x3fc7fb8,
		arch.X86RFLAGS: 0x206, arch.X86CS: 8, arch.X86FSBase: 0x1234, arch.X86GSBase: 0x113120,
	} {
		if v, ok := cpus[0].regs.Get(num); !ok || v != want {
			t.Errorf("register %d: %#x, %v; want %#x", num, v, ok, want)
		}
	}
	if _, ok := cpus[0].regs.Get(arch.X86SS); ok {
		t.Error("ss is known, and was not shown")
	}
	if cpus[0].sys["cr3"] != 0x215000 || cpus[0].sys["cr0"] != 0x80010011 || !cpus[0].long || cpus[1].long || cpus[1].regs.PC() != 0xfff0 {
		t.Errorf("%+v", cpus)
	}
	cpus, err = parseRegisters(arm64Text, arch.ARM64)
	if err != nil || len(cpus) != 1 {
		t.Fatalf("%d, %v", len(cpus), err)
	}
	if r := cpus[0].regs; r.PC() != 0x40207ed4 || r.SP() != 0x40337fb0 || r.FP() != 0x40337fc0 {
		t.Errorf("%+v", r)
	}
	if _, ok := cpus[0].regs.Get(4); ok {
		t.Error("x4 is known, and was not shown")
	}
	for _, bad := range []string{"", "CPU#1\nRIP=1\n", "CPU#0\nno registers\n", "unknown command: 'info registers'"} {
		if cpus, err := parseRegisters(bad, arch.X86_64); err == nil {
			t.Errorf("%q: %+v", bad, cpus)
		}
	}
}

func FuzzRegisters(f *testing.F) {
	f.Add(x86Text)
	f.Add(arm64Text)
	f.Add("CPU#0\nRIP=zz RIP= 1==2\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range arch.All {
			cpus, err := parseRegisters(text, a)
			if err == nil && (len(cpus) == 0 || len(cpus) > maxCPUs) {
				t.Fatalf("%d processors", len(cpus))
			}
		}
	})
}
