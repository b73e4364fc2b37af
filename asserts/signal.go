package asserts

import (
	"fmt"
	"strconv"
)

// Signal is what a process was ended by, as Linux told it (siginfo_t).
type Signal struct {
	// Number is the signal's, 0 for none; Code says why it was sent.
	Number, Code int
	// Addr is si_addr, known for the signals of a fault alone.
	Addr Word
	// Key is the protection key of a fault by one.
	Key int
	// Bare: only Number is known, and so not whether somebody sent it.
	Bare bool
}

// Signals and their codes, which are those of x86 and arm64
// (include/uapi/asm-generic/signal.h, siginfo.h).
const (
	sigILL, sigTRAP, sigABRT, sigBUS, sigFPE, sigSEGV = 4, 5, 6, 7, 8, 11

	siKernel    = 128
	segvMapErr  = 1
	segvAccErr  = 2
	segvPKUErr  = 4
	segvMTEAsyn = 8
	segvMTESync = 9
	busAdrAln   = 1
	fpeIntDiv   = 1
	trapBrkpt   = 1
	trapTrace   = 2
)

// IsFault reports whether the processor caused the signal, and nobody sent it.
func (g Signal) IsFault() bool {
	switch g.Number {
	case sigILL, sigTRAP, sigBUS, sigFPE, sigSEGV:
		return g.Code > 0 || g.Bare
	}
	return false
}

// signalNames are those of signals that end a program because of what it did.
var signalNames = map[int]string{sigILL: "SIGILL", sigTRAP: "SIGTRAP", sigABRT: "SIGABRT", sigBUS: "SIGBUS", sigFPE: "SIGFPE", sigSEGV: "SIGSEGV"}

// signalled takes the kind of the fault, its address and what its page allows
// from the signal. It reports whether there was one that tells.
func (s *scene) signalled() bool {
	f, g := s.f, s.m.Signal
	name, ok := signalNames[g.Number]
	if !ok || g.Number != sigABRT && !g.IsFault() {
		return false
	}
	f.detail("signal", name)
	if g.Bare && g.Number != sigABRT {
		// The registers and the code decide; if they do not, this is all.
		s.fallback("the program was ended by " + name)
		f.derived = true
		return true
	}
	switch g.Number {
	case sigABRT:
		f.Kind = ExplicitCrash
		s.reason("the program ended itself (SIGABRT)")
		return true
	case sigILL:
		f.Kind = InvalidOpcode
	case sigTRAP:
		switch f.Kind = Breakpoint; g.Code {
		case trapTrace:
			f.Kind = DebugTrap
		case trapBrkpt, siKernel:
		default:
			return false
		}
	case sigFPE:
		if f.Kind = DivideError; g.Code == fpeIntDiv {
			return true
		}
		s.reason(fmt.Sprintf("arithmetic fault (SIGFPE, code %d)", g.Code))
	case sigBUS:
		if f.Kind = PageFault; g.Code == busAdrAln {
			f.Kind = Alignment
		}
		f.Address = g.Addr
	case sigSEGV:
		s.segv(g)
	}
	return true
}

func (s *scene) segv(g Signal) {
	f := s.f
	f.Kind = PageFault
	if g.Code != siKernel {
		f.Address = g.Addr
	}
	switch g.Code {
	case segvMapErr:
		s.page.absent = true
	case segvAccErr:
		s.page.present = true
	case segvPKUErr:
		f.Kind = ProtectionKey
		f.detail("key", strconv.Itoa(g.Key))
	case segvMTEAsyn, segvMTESync:
		f.Kind = MemoryTag
	case siKernel:
		// The processor told no address: on x86 that is #GP.
		f.Kind = GeneralProtection
	}
}
