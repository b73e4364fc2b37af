package gdbstub

import (
	"bytes"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// stopReply is a parsed stop reply packet (GDB manual, E.3).
type stopReply struct {
	kind   byte // 'T' or 'S' stopped, 'W' exited, 'X' killed
	signal int  // GDB signal number
	status int  // 'W': exit status, 'X': signal
	thread threadID
	named  bool // thread is set
	watch  bool
	addr   uint64 // with watch
	brk    bool   // swbreak or hwbreak
}

// GDB's numbers of signals (GDB manual, "include/gdb/signals.def").
const (
	sigInt  = 2
	sigTrap = 5
)

// maxPairs bounds the key:value pairs looked at in one stop reply.
const maxPairs = 128

// parseStop recognises a stop reply. Nothing else a stub answers looks like
// one: hex data has no S, T, W or X.
func parseStop(p []byte) (r stopReply, ok bool) {
	if len(p) < 3 || !isHexDigit(p[1]) || !isHexDigit(p[2]) {
		return r, false
	}
	code, _, _ := packet.ParseUint(p[1:3])
	r.kind = p[0]
	rest := p[3:]
	switch p[0] {
	case 'S':
		r.signal = int(code)
		return r, len(rest) == 0
	case 'W', 'X':
		r.status = int(code)
		return r, len(rest) == 0 || rest[0] == ';'
	case 'T':
		r.signal = int(code)
	default:
		return r, false
	}
	for i := 0; len(rest) > 0; i++ {
		if i == maxPairs {
			return r, false
		}
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte(";"))
		key, value, found := bytes.Cut(pair, []byte(":"))
		if !found {
			return r, i > 0 && len(pair) == 0
		}
		switch string(key) {
		case "thread":
			if t, tail, ok := parseThread(value); ok && len(tail) == 0 {
				r.thread, r.named = t, true
			}
		case "watch", "rwatch", "awatch":
			if a, _, ok := packet.ParseUint(value); ok {
				r.watch, r.addr = true, a
			}
		case "swbreak", "hwbreak":
			r.brk = true
		}
	}
	return r, true
}

// reason tells why the guest stopped, from what the stub says and from what
// was asked of it.
func (r stopReply) reason(asked asked) target.StopReason {
	switch {
	case r.watch:
		return target.StopWatch
	case r.brk:
		return target.StopBreakpoint
	case asked.interrupt && (r.signal == sigInt || r.signal == 0):
		return target.StopInterrupt
	case r.signal == sigInt:
		return target.StopForeign
	case r.signal != sigTrap:
		return target.StopSignal
	case asked.interrupt && !asked.exact:
		// A stub in the guest tells a break with the signal of its trap.
		return target.StopInterrupt
	case asked.step:
		return target.StopStep
	case asked.breakpoints:
		return target.StopBreakpoint
	}
	return target.StopSignal
}

// others reports whether a stop is somebody else's, and so for nobody here to undo. QEMU
// tells its own run states as other signals than those of debugging: SIGIO and SIGSTOP
// an I/O error, SIGXCPU the end of a migration, SIGALRM a watchdog, and one that is none
// a guest that panicked (gdb_vm_state_change).
func (r stopReply) others(asked asked) bool {
	reason := r.reason(asked)
	return reason == target.StopForeign || reason == target.StopSignal && asked.exact && r.signal != sigTrap
}

// asked is what the client had asked for when a stop came.
type asked struct {
	interrupt   bool
	step        bool // of the processor that stopped
	breakpoints bool // there are some
	exact       bool // the stub tells an interrupt by SIGINT, never by SIGTRAP
}
