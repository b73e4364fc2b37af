package unwind

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/target"
)

// How says how a frame was found, from sure to doubtful.
type How uint8

const (
	// Context: the registers were given, or read from what the processor or
	// the kernel saved of them.
	Context How = iota
	// CFI: by call frame information.
	CFI
	// Prologue: by the first instructions of a function without call frame
	// information, or its link register.
	Prologue
	// FramePointer: by following the frame pointer.
	FramePointer
	// Scan: a word on the stack looks like a return address. It may be a
	// left-over of an earlier call.
	Scan
	// CallSite: not on the stack any more; call sites say that the function
	// left by a jump to the one before it. See TailCalls.
	CallSite
)

func (h How) String() string {
	switch h {
	case Context:
		return "context"
	case CFI:
		return "cfi"
	case Prologue:
		return "prologue"
	case FramePointer:
		return "frame-pointer"
	case Scan:
		return "scan"
	case CallSite:
		return "call-site"
	}
	return fmt.Sprintf("How(%d)", uint8(h))
}

// Frame is one function on the stack; calls inlined into it are no frames of
// their own.
type Frame struct {
	// PC is the run-time address execution is at or returns to.
	PC uint64
	// LookupPC is the address to resolve: PC, or for a return address the one
	// before it, inside the call.
	LookupPC uint64
	// CFA is the canonical frame address, the stack pointer before the call
	// of the function; 0 where it is not known.
	CFA uint64
	// Regs are the registers as they are in this frame. Those that callees
	// overwrote are not known.
	Regs target.Regs
	// How says how the frame was found.
	How How
	// Trap: the frame is entry code of a trap, and the next frame was
	// interrupted and did not call it.
	Trap bool
}

// TrapFrame is asked for every frame whether it is entry code of a trap whose
// saved registers it can read. It returns the registers of what was
// interrupted.
type TrapFrame func(ctx context.Context, mem target.Memory, f *Frame) (regs target.Regs, ok bool)

// Options change how a stack is walked. The zero value is good.
type Options struct {
	// Max limits the frames, 0 for 256.
	Max int
	// Entries names functions below which no caller is looked for, because
	// what lies there is no caller: the entry of a thread.
	Entries []string
	// TrapFrame reads the frames of traps that call frame information does
	// not describe, as on arm64; nil for none.
	TrapFrame TrapFrame
	// NoScan leaves the search of the stack for return addresses out.
	NoScan bool
}

// defaultMax is the depth at which a walk ends unless told otherwise.
const defaultMax = 256

// StopError says why a walk ended before the bottom of the stack.
type StopError struct {
	// Frame is the index of the last frame and PC its pc.
	Frame int
	PC    uint64
	// Why is the reason, which may be a *target.FaultError.
	Why error
}

func (e *StopError) Error() string {
	return fmt.Sprintf("backtrace ends at frame %d, pc %#x: %v", e.Frame, e.PC, e.Why)
}

// Unwrap gives the reason.
func (e *StopError) Unwrap() error { return e.Why }

// Unwind walks one stack from regs, which are the registers of frame 0. For
// many stacks, make one Unwinder.
func Unwind(ctx context.Context, mem target.Memory, mods symbolizer.Mappings, regs target.Regs, opt Options) ([]Frame, error) {
	return New(mods, opt).Append(ctx, nil, mem, regs)
}
