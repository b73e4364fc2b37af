package stubtest

import (
	"encoding/binary"
	"strings"
)

// Base is where the models' memory begins; it has 64 KiB, each byte the low
// byte of its address times 3.
const Base = 0x100000

func model() *Stub {
	s := &Stub{Base: Base, Mem: make([]byte, 64<<10), Fault: "E14"}
	for i := range s.Mem {
		s.Mem[i] = Byte(Base + uint64(i))
	}
	return s
}

// Byte is what the models' memory holds at addr.
func Byte(addr uint64) byte { return byte(addr * 3) }

// x86Regs is the g packet of the general x86_64 registers: each holds its
// place in the packet times 0x11.
func x86Regs() (g []byte) {
	for i := range 17 {
		g = binary.LittleEndian.AppendUint64(g, uint64(i)*0x11)
	}
	for i := range 7 {
		g = binary.LittleEndian.AppendUint32(g, uint32(17+i)*0x11)
	}
	return g
}

// RIP is the offset of rip in the models' g packet.
const RIP = 16 * 8

const core = `<reg name="rax" bitsize="64" regnum="0"/>`

func x86XML() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE feature SYSTEM "gdb-target.dtd"><feature name="org.gnu.gdb.i386.core">` + core)
	for _, n := range strings.Fields("rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip") {
		b.WriteString(`<reg name="` + n + `" bitsize="64" type="int64"/>`)
	}
	for _, n := range strings.Fields("eflags cs ss ds es fs gs") {
		b.WriteString(`<reg name="` + n + `" bitsize="32"/>`)
	}
	b.WriteString(`</feature>`)
	return b.String()
}

// QEMU is QEMU 7.2 with a running guest.
func QEMU() *Stub {
	s := model()
	s.Manners, s.Running, s.Regs = LikeQEMU, true, x86Regs()
	s.Features = "PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+"
	s.StopText, s.Threads = "T05thread:p01.01;", "mp01.01"
	s.MaxRead = 0x800
	s.XML = map[string]string{
		"target.xml":     `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>i386:x86-64</architecture><xi:include href="i386-64bit.xml"/></target>`,
		"i386-64bit.xml": x86XML(),
	}
	return s
}

// Unikraft is the stub of Unikraft 0.18 at its boot wait.
func Unikraft() *Stub {
	s := model()
	s.Manners, s.Regs, s.NoZ, s.NoP = LikeUnikraft, x86Regs(), true, true
	s.Features = "PacketSize=800;qXfer:features:read+;QStartNoAckMode+"
	s.StopText, s.MaxRead, s.Short, s.Fault = "S05", 1024, true, ""
	s.XML = map[string]string{"target.xml": x86XML()}
	return s
}

// Bare is a stub that knows next to nothing and describes nothing.
func Bare() *Stub {
	s := model()
	s.Regs, s.NoZ, s.NoP, s.StopText = x86Regs(), true, true, "S05"
	s.MaxRead = 200
	s.Fault = "E0e"
	return s
}
