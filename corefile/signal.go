package corefile

import "encoding/binary"

// Signal is what ended a process (siginfo_t of 64-bit Linux,
// include/uapi/asm-generic/siginfo.h).
type Signal struct {
	// Number is the signal's, Code says why it was sent: more than 0 by the
	// kernel.
	Number, Code int
	// Addr is the address of the fault, of SIGILL, SIGTRAP, SIGBUS, SIGFPE and
	// SIGSEGV alone, if Code is more than 0.
	Addr uint64
	// Key is the protection key of a fault by one, else 0.
	Key uint32
	// Bare: the dump tells the number alone.
	Bare bool
}

// Offsets in siginfo_t.
const (
	siCode  = 8
	siAddr  = 16
	siPKey  = 32
	siLeast = 36
)

// Signal returns what ended the process; ok is false where the dump does not
// tell, and of a machine.
func (d *Dump) Signal() (s Signal, ok bool) { return d.signal, d.signal.Number != 0 }

func parseSignal(body []byte) (s Signal) {
	if len(body) < siLeast {
		return Signal{}
	}
	le := binary.LittleEndian
	return Signal{
		Number: int(int32(le.Uint32(body))), Code: int(int32(le.Uint32(body[siCode:]))),
		Addr: le.Uint64(body[siAddr:]), Key: le.Uint32(body[siPKey:]),
	}
}

// prCurSig is where pr_cursig is in struct elf_prstatus.
const prCurSig = 12

// currentSignal is the signal a thread's status names.
func currentSignal(status []byte) Signal {
	if len(status) < prCurSig+2 {
		return Signal{}
	}
	return Signal{Number: int(binary.LittleEndian.Uint16(status[prCurSig:])), Bare: true}
}

// The XSAVE area in its standard form (Intel SDM vol. 1, 13.4; the software
// bytes hold XCR0: Linux arch/x86/include/asm/user.h). Where PKRU lies is the
// processor's own: behind the AVX-512 state on Intel, behind AVX on AMD's that
// have none.
const (
	xcr0At      = 464
	xstateBV    = 512
	xsaveHeader = 576
	hasPKRU     = 1 << 9
	hasAVX512   = 7 << 5
	pkruIntel   = 2688
	pkruAMD     = 2432
)

// xsavePKRU takes PKRU out of an XSAVE area, if it is surely there.
func xsavePKRU(body []byte) (pkru uint32, ok bool) {
	if len(body) < xsaveHeader {
		return 0, false
	}
	le := binary.LittleEndian
	xcr0, present := le.Uint64(body[xcr0At:]), le.Uint64(body[xstateBV:])
	at := 0
	switch {
	case xcr0&hasPKRU == 0:
		return 0, false
	case xcr0&hasAVX512 == hasAVX512 && len(body) >= pkruIntel+8:
		at = pkruIntel
	case xcr0&hasAVX512 == 0 && len(body) == pkruAMD+8:
		at = pkruAMD
	case xcr0&hasAVX512 == 0 && len(body) == pkruIntel+8:
		at = pkruIntel
	default:
		return 0, false
	}
	if present&hasPKRU == 0 {
		return 0, true // in its initial state
	}
	return le.Uint32(body[at:]), true
}
