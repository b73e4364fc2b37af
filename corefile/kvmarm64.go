package corefile

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// KVM names each arm64 register by a number of 64 bits (Linux
// Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG): architecture, size as a
// power of two in bits 52 to 55, and a register. Core registers count in words
// of 32 bits of struct kvm_regs, system registers by op0, op1, CRn, CRm and op2.
const (
	kvmARM64     = 0x6000_0000_0000_0000
	kvmArchMask  = 0xff00_0000_0000_0000
	kvmCore64    = 0x6030_0000_0010_0000
	kvmSystem64  = 0x6030_0000_0013_0000
	kvmSizeShift = 52
	kvmSizeMask  = 15
	// Words of struct kvm_regs.
	kvmSP     = 2 * 31
	kvmPC     = 2 * 32
	kvmPState = 2 * 33
	kvmSPEL1  = 2 * 34
	kvmTPIDR  = 0xc684 // of TPIDR_EL1
)

// kvmSystemNames has the system registers a debugger wants, by gdb's names.
var kvmSystemNames = [...]struct {
	id   uint64
	name string
}{
	{kvmSystem64 | 0xc080, "SCTLR_EL1"}, {kvmSystem64 | 0xc100, "TTBR0_EL1"}, {kvmSystem64 | 0xc101, "TTBR1_EL1"},
	{kvmSystem64 | 0xc102, "TCR_EL1"}, {kvmSystem64 | 0xc290, "ESR_EL1"}, {kvmSystem64 | 0xc300, "FAR_EL1"},
	{kvmSystem64 | kvmTPIDR, "TPIDR_EL1"}, {kvmSystem64 | 0xde82, "TPIDR_EL0"}, {kvmCore64 | 2*35, "ELR_EL1"},
}

// kvmARM64s finds each vCPU's registers: a list of numbers and a list of bytes,
// each behind its length in 64 bits.
func kvmARM64s(state []byte, a *arch.Arch) []cpuState {
	const (
		least = 34   // a list without the general registers is another
		most  = 4096 // KVM has some hundred
	)
	le := binary.LittleEndian
	var all []cpuState
	for at := 0; at+16 <= len(state) && len(all) < maxCPUs; at++ {
		n := le.Uint64(state[at:])
		if n < least || n > most || at+8+8*int(n)+8 > len(state) {
			continue
		}
		ids := state[at+8 : at+8+8*int(n)]
		size := uint64(0)
		for i := 0; i < len(ids); i += 8 {
			id := le.Uint64(ids[i:])
			if id&kvmArchMask != kvmARM64 {
				size = 0
				break
			}
			size += 1 << (id >> kvmSizeShift & kvmSizeMask)
		}
		data := state[at+8+len(ids):]
		if size == 0 || le.Uint64(data) != size || size > uint64(len(data)-8) {
			continue
		}
		if c, ok := kvmARM64CPU(ids, data[8:8+size], a); ok {
			all = append(all, c)
			at += 8 + len(ids) + 8 + int(size) - 1
		}
	}
	return all
}

func kvmARM64CPU(ids, data []byte, a *arch.Arch) (cpuState, bool) {
	le := binary.LittleEndian
	c := cpuState{regs: target.NewRegs(a), sys: map[string]uint64{}}
	var spEL0, spEL1 uint64
	have := 0
	for ; len(ids) > 0; ids = ids[8:] {
		id := le.Uint64(ids)
		size := 1 << (id >> kvmSizeShift & kvmSizeMask)
		value := data[:size]
		data = data[size:]
		if size != 8 {
			continue
		}
		v := le.Uint64(value)
		switch word := id - kvmCore64; {
		case id >= kvmCore64 && word < kvmSP && word%2 == 0:
			c.regs.Set(int(word/2), v)
			have++
		case word == kvmSP:
			spEL0 = v
		case word == kvmPC:
			c.regs.Set(arch.ARM64PC, v)
			have++
		case word == kvmPState:
			c.regs.Set(arch.ARM64CPSR, v)
			have++
		case word == kvmSPEL1:
			spEL1 = v
		}
		for _, s := range kvmSystemNames {
			if s.id == id {
				c.sys[s.name] = v
			}
		}
		if id == kvmSystem64|kvmTPIDR {
			c.regs.Set(arch.ARM64TPIDREL1, v)
		}
	}
	// The mode's lowest bit says which stack pointer is in use.
	const ownSP = 1
	if mode, _ := c.regs.Get(arch.ARM64CPSR); mode&ownSP != 0 {
		spEL0 = spEL1
	}
	c.regs.Set(a.SP, spEL0)
	return c, have == 33
}
