package corefile

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Sizes and offsets of KVM's structures (Linux arch/x86/include/uapi/asm/kvm.h):
// struct kvm_regs has 16 general registers, rip and rflags; struct kvm_sregs
// eight segments, two tables of 16 bytes, and CR0, CR2, CR3, CR4, CR8, EFER, the
// APIC base and a bitmap of interrupts.
const (
	kvmRegs    = 18 * 8
	kvmFlags   = 17 * 8
	kvmSegment = 24
	kvmControl = 8*kvmSegment + 2*16
	kvmSregs   = kvmControl + 7*8 + 32
	// In struct kvm_segment: base, limit, selector, type, present, dpl, db, s, l,
	// g, avl, unusable, padding.
	ksegSelector = 12
	ksegType     = 14
	ksegPresent  = 15
	ksegDPL      = 16
	ksegLong     = 19
	ksegUnusable = 22
	ksegPadding  = 23
)

// kvmRegOrder lists the DWARF numbers of struct kvm_regs in its order.
var kvmRegOrder = []int{arch.X86RAX, arch.X86RBX, arch.X86RCX, arch.X86RDX, arch.X86RSI, arch.X86RDI, arch.X86RSP, arch.X86RBP,
	arch.X86R8, 9, 10, 11, arch.X86R12, arch.X86R13, arch.X86R14, arch.X86R15, arch.X86RIP, arch.X86RFLAGS}

// kvmSegmentOrder lists those of the first six segments of struct kvm_sregs.
var kvmSegmentOrder = []int{arch.X86CS, 53, 50, 54, 55, arch.X86SS}

// kvmX86 finds each vCPU's struct kvm_regs, which a struct kvm_sregs follows, at
// once or behind its length in 64 bits.
func kvmX86(state []byte, a *arch.Arch) []cpuState {
	var all []cpuState
	for at := 0; at+kvmRegs+kvmSregs <= len(state) && len(all) < maxCPUs; at++ {
		s := state[at+kvmRegs:]
		if len(s) >= 8+kvmSregs && binary.LittleEndian.Uint64(s) == kvmSregs {
			s = s[8:]
		}
		if kvmPlausible(state[at:], s) {
			all = append(all, kvmCPU(state[at:], s, a))
			at = len(state) - len(s) + kvmSregs - 1
		}
	}
	return all
}

func kvmCPU(regs, s []byte, a *arch.Arch) cpuState {
	le := binary.LittleEndian
	c := cpuState{regs: target.NewRegs(a), sys: map[string]uint64{}, long: s[ksegLong] != 0}
	for i, num := range kvmRegOrder {
		c.regs.Set(num, le.Uint64(regs[8*i:]))
	}
	for i, num := range kvmSegmentOrder {
		seg := s[i*kvmSegment:]
		c.regs.Set(num, uint64(le.Uint16(seg[ksegSelector:])))
		switch num {
		case 54:
			c.regs.Set(arch.X86FSBase, le.Uint64(seg))
		case 55:
			c.regs.Set(arch.X86GSBase, le.Uint64(seg))
		}
	}
	for i, name := range []string{"cr0", "cr2", "cr3", "cr4", "cr8", "efer"} {
		c.sys[name] = le.Uint64(s[kvmControl+8*i:])
	}
	return c
}

// kvmPlausible tells the two structures from other bytes by what a processor
// forces on them.
func kvmPlausible(regs, s []byte) bool {
	const (
		flagsFixed = 1 << 1
		flagsZero  = 1<<3 | 1<<5 | 1<<15 | ^uint64(1<<22-1)
		et, pg     = 1 << 4, 1 << 31
		lme, lma   = 1 << 8, 1 << 10
		apicOn     = 1 << 11
		apicZero   = 0x2ff
	)
	le := binary.LittleEndian
	if len(s) < kvmSregs {
		return false
	}
	flags := le.Uint64(regs[kvmFlags:])
	if flags&flagsFixed == 0 || flags&flagsZero != 0 || s[ksegPresent] != 1 {
		return false
	}
	for i := range 8 {
		seg := s[i*kvmSegment:]
		if seg[ksegType] > 15 || seg[ksegDPL] > 3 || seg[ksegPadding] != 0 {
			return false
		}
		for at := ksegPresent; at <= ksegUnusable; at++ {
			if at != ksegDPL && seg[at] > 1 {
				return false
			}
		}
	}
	control := func(i int) uint64 { return le.Uint64(s[kvmControl+8*i:]) }
	cr0, cr8, efer, apic := control(0), control(4), control(5), control(6)
	return cr0>>32 == 0 && cr0&et != 0 && cr8 < 16 && efer>>16 == 0 &&
		(efer&lma != 0) == (efer&lme != 0 && cr0&pg != 0) && (s[ksegLong] == 0 || efer&lma != 0) &&
		apic&apicZero == 0 && apic&apicOn != 0
}
