package ukdbg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// StepKind is how far a step goes.
type StepKind int

const (
	// StepInto: to another source line, into calls that have lines.
	StepInto StepKind = iota
	// StepOver: to another source line of this function or its caller.
	StepOver
	// StepUntil: like StepOver, but never back up a loop.
	StepUntil
	// StepInstruction: one machine instruction.
	StepInstruction
	// StepInstructionOver: one machine instruction, calls as one.
	StepInstructionOver
)

// Step takes the selected scheduler thread one step further. The step belongs
// to that thread: other threads may run meanwhile and hit the same places, which
// passes silently. A thread that is not on a processor is first waited for.
func (s *Session) Step(ctx context.Context, t Thread, kind StepKind) (StopReport, error) {
	if s.live == nil {
		return StopReport{}, s.notLive()
	}
	if s.image == nil && kind < StepInstruction {
		return StopReport{}, fmt.Errorf("a step ends at another source line: %w; stepi and nexti go by instructions", ErrNoImage)
	}
	cpu, rep, err := s.bring(ctx, t)
	if err != nil || rep.Cause != CauseStep {
		return rep, err
	}
	st := &stepper{s: s, thread: t, cpu: cpu, kind: kind}
	if err := st.begin(ctx); err != nil {
		return StopReport{}, err
	}
	for {
		done, rep, err := st.advance(ctx)
		if done || err != nil {
			rep.CPU = st.cpu
			return rep, err
		}
		if ctx.Err() != nil {
			return StopReport{Cause: CauseInterrupt, CPU: st.cpu}, nil
		}
	}
}

// bring lets the guest run until the thread is on a processor, and says which.
// rep.Cause is CauseStep if it got there.
func (s *Session) bring(ctx context.Context, t Thread) (target.CPU, StopReport, error) {
	if t.CPU >= 0 {
		return t.CPU, StopReport{Cause: CauseStep, CPU: t.CPU}, nil
	}
	frames, err := s.unwind(ctx, t)
	if err != nil {
		return 0, StopReport{}, err
	}
	if len(frames) < 2 {
		return 0, StopReport{}, fmt.Errorf("thread %d (%s) has no saved frame to wait at: let it run first", t.ID, t.Name)
	}
	// The saved frame is inside the switch; its return is the first place the
	// thread passes on its own stack.
	rep, err := s.runToFrame(ctx, frames[1].PC, frames[0].CFA)
	return rep.CPU, rep, err
}

// runToFrame runs until pc is reached with the stack pointer at sp, which only
// the thread that owns that stack can do.
func (s *Session) runToFrame(ctx context.Context, pc, sp uint64) (StopReport, error) {
	own := []target.Breakpoint{{Kind: s.breakKind, Addr: pc}}
	return s.runFor(ctx, own, func(_ context.Context, _ target.CPU, regs *target.Regs) bool {
		return regs.PC() == pc && regs.SP() == sp
	})
}

// Finish runs until the frame returns to its caller. An inlined frame has no
// return: it is stepped out of.
func (s *Session) Finish(ctx context.Context, t Thread, f Frame) (StopReport, error) {
	if s.live == nil {
		return StopReport{}, s.notLive()
	}
	if f.epoch != s.epoch {
		return StopReport{}, ErrStale
	}
	// Nothing returns to a function that left by a jump, nor to what is inlined
	// into it.
	if f.Inline && !f.TailCall {
		return s.leaveInlined(ctx, t, f)
	}
	caller := f.returnsTo()
	if caller == nil {
		return StopReport{}, errors.New("the outermost frame has no caller to return to")
	}
	return s.runToFrame(ctx, caller.PC, f.CFA)
}

// leaveInlined steps until the inlined copy of a function is behind.
func (s *Session) leaveInlined(ctx context.Context, t Thread, f Frame) (StopReport, error) {
	if f.physical > 0 {
		// First back to the frame that holds it.
		rep, err := s.runToFrame(ctx, f.PC, f.stack[f.physical-1].CFA)
		if err != nil || rep.Cause != CauseStep {
			return rep, err
		}
	}
	for {
		threads, err := s.Threads(ctx)
		if err != nil {
			return StopReport{}, err
		}
		for _, now := range threads {
			if now.Addr == t.Addr {
				t = now
			}
		}
		rep, err := s.Step(ctx, t, StepInstructionOver)
		if err != nil || rep.Cause != CauseStep {
			return rep, err
		}
		regs, err := s.machine.ReadRegisters(ctx, rep.CPU)
		if err != nil {
			return rep, err
		}
		locs, err := s.Resolve(regs.PC())
		inside := false
		for _, l := range locs {
			inside = inside || l.Inline && l.Entry == f.Loc.Entry && l.Function == f.Loc.Function
		}
		if err != nil || !inside {
			return rep, nil
		}
	}
}

// RunTo runs until the thread reaches one of addrs, or leaves the given frame.
func (s *Session) RunTo(ctx context.Context, t Thread, f Frame, addrs []uint64) (StopReport, error) {
	if s.live == nil {
		return StopReport{}, s.notLive()
	}
	if f.epoch != s.epoch {
		return StopReport{}, ErrStale
	}
	var own []target.Breakpoint
	for _, a := range addrs {
		own = append(own, target.Breakpoint{Kind: s.breakKind, Addr: a})
	}
	var outPC, outSP uint64
	if caller := f.returnsTo(); caller != nil {
		outPC, outSP = caller.PC, f.CFA
		own = append(own, target.Breakpoint{Kind: s.breakKind, Addr: outPC})
	}
	return s.runFor(ctx, own, func(ctx context.Context, cpu target.CPU, regs *target.Regs) bool {
		if outPC != 0 && regs.PC() == outPC && regs.SP() == outSP {
			return true
		}
		return slices.Contains(addrs, regs.PC()) && s.runs(ctx, cpu, t)
	})
}

// runs reports whether t is the thread on the processor. The kernel's word for
// that processor is asked first: a step asks after each instruction, and the
// list of all threads is long over a serial line.
func (s *Session) runs(ctx context.Context, cpu target.CPU, t Thread) bool {
	if s.threads == nil && s.currentWord(ctx, cpu) == t.Addr {
		return true
	}
	now, err := s.CurrentThread(ctx, cpu)
	return err == nil && now.Addr == t.Addr
}

// currentWord is the address of the thread the kernel says the processor runs,
// 0 if it does not say.
func (s *Session) currentWord(ctx context.Context, cpu target.CPU) uint64 {
	k, ok := s.kernel.(interface {
		CurrentSlots(context.Context) (map[target.CPU]uint64, error)
	})
	if !ok {
		return 0
	}
	if s.currentSlots == nil {
		slots, err := k.CurrentSlots(ctx)
		if err != nil {
			return 0 // the list of threads says why, if it matters
		}
		s.currentSlots = slots
	}
	b := make([]byte, 8)
	if at, ok := s.currentSlots[cpu]; !ok || target.ReadFull(ctx, s.mem, b, at) != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
