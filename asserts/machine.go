package asserts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// Machine is what Decode and Refine may read of a stopped guest or a dump. Only
// Regs is needed; every other part may be absent, and then nothing is concluded
// from it.
type Machine struct {
	// Regs are the registers at the fault: those of the trap frame if the
	// guest's handler already runs.
	Regs target.Regs
	// System holds the registers that are no general ones by lower-case name:
	// cr2, pkru, esr_el1, far_el1, elr_el1 (see SystemValues).
	System map[string]uint64
	// Trapped says that Regs are those of a trap frame: the guest did fault at
	// their pc, even if nothing tells by which vector.
	Trapped bool
	// Trap is the x86 vector, if the trap frame or its handler tells it.
	Trap Word
	// ErrorCode is the error code of the trap frame; on arm64 ESR.
	ErrorCode Word
	// Pushed is the x86 trap frame's word at the place of the error code
	// (orig_rax): a code only if the vector pushes one.
	Pushed Word
	// Explicit is the value of Unikraft's _uk_crash_explicit, which is 1 from
	// UK_CRASH to its trap.
	Explicit Word
	// Signal is what ended a process, zero for a machine.
	Signal Signal
	// Ending says how the guest ended itself (see FindEnding), zero if it did
	// not.
	Ending Ending
	// Memory is the guest's virtual memory, or an image's bytes.
	Memory target.Memory
	// Symbol names a code or data address; ok is false outside the image.
	Symbol func(addr uint64) (name string, off uint64, ok bool)
	// Section names the section of the image an address lies in, "" if none.
	Section func(addr uint64) string
	// Page tells the attributes of the page of an address, from page tables.
	Page func(ctx context.Context, addr uint64) (Page, error)
	// Thread is the name of the running thread, StackLow and StackHigh the ends
	// of its stack (both 0 if not known; StackHigh is inclusive).
	Thread              string
	StackLow, StackHigh uint64
}

// Page holds the attributes of a page as its page-table entry gives them.
type Page struct {
	Present, Write, Exec, User bool
	// Key is the x86 protection key, 0 to 15.
	Key int
}

// MachineFormat is Source.Format of a fault no text told of.
const MachineFormat = "machine"

// ErrNoFault says that the machine shows no fault.
var ErrNoFault = errors.New("the machine shows no fault")

// SystemValues takes the registers of target.SystemRegisters that fit a word.
func SystemValues(raw map[string][]byte) map[string]uint64 {
	out := make(map[string]uint64, len(raw))
	for name, b := range raw {
		if len(b) == 0 || len(b) > 8 {
			continue
		}
		var w [8]byte
		copy(w[:], b)
		out[strings.ToLower(name)] = binary.LittleEndian.Uint64(w[:])
	}
	return out
}

// Decode tells from the machine alone what fault it stopped at. The error is
// ErrNoFault if neither the trap nor the bytes at pc show one.
func Decode(ctx context.Context, m Machine) (*Fault, error) {
	a := m.Regs.Arch
	if a == nil {
		return nil, fmt.Errorf("decode of a machine: its registers have no architecture")
	}
	pc, ok := m.Regs.Get(a.PC)
	if !ok {
		return nil, fmt.Errorf("decode of a machine: its pc is not known")
	}
	f := &Fault{Kind: UnknownTrap, Arch: a, PC: Value(pc), Thread: m.Thread, TrapNumber: m.Trap, ErrorCode: m.ErrorCode}
	f.Source.Format = MachineFormat
	for _, r := range a.Regs {
		if v, ok := m.Regs.Get(r.Num); ok {
			f.setReg(Register{Name: r.Name, Value: Value(v)})
		}
	}
	if m.Pushed.Known {
		f.setReg(Register{Name: "orig_rax", Value: m.Pushed})
	}
	s := scene{ctx: ctx, f: f, m: &m}
	s.systemRegisters()
	told := s.signalled()
	if known := s.classify() || told; !s.ended() && !known {
		return nil, fmt.Errorf("%w: pc is %s, no trap is known and the bytes there are no trap instruction",
			ErrNoFault, s.place(pc))
	}
	s.finish()
	return f, nil
}

// Refine adds to a fault read from text what memory or an image's bytes and
// symbols prove: the meaning of the instruction at pc with the printed
// registers.
func Refine(ctx context.Context, f *Fault, m Machine) {
	if f.Arch == nil || !f.PC.Known || m.Regs.Arch != nil && m.Regs.Arch != f.Arch {
		return
	}
	s := scene{ctx: ctx, f: f, m: &m}
	if m.Symbol != nil {
		// What was noted without names is noted again with them.
		f.Inferred = slices.DeleteFunc(f.Inferred, func(n string) bool { return strings.HasPrefix(n, calledFrom) })
	}
	s.classify()
	s.finish()
}

// systemRegisters takes cr2, or ESR and FAR, where they are those of this fault.
func (s *scene) systemRegisters() {
	f, m := s.f, s.m
	if cr2, ok := m.System["cr2"]; ok && f.TrapNumber.Known && f.TrapNumber.V == trapPageFault {
		f.Address = Value(cr2)
	}
	if pkru, ok := m.System["pkru"]; ok {
		f.detail("pkru", fmt.Sprintf("%#x", pkru))
	}
	esr, haveESR := m.System["esr_el1"]
	elr, haveELR := m.System["elr_el1"]
	if haveESR && haveELR && !f.ErrorCode.Known && elr == f.PC.V {
		f.ErrorCode = Value(esr)
	}
	// FAR belongs to this fault only if ESR still does.
	if far, ok := m.System["far_el1"]; ok && haveESR && f.ErrorCode.Known && f.ErrorCode.V == esr {
		f.setReg(Register{Name: "FAR_EL1", Value: Value(far)})
	}
	if f.Arch.Name == "arm64" && f.ErrorCode.Known {
		f.setReg(Register{Name: "ESR_EL1", Value: f.ErrorCode})
	}
}
