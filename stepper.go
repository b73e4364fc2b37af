package ukdbg

import (
	"context"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// stepper is one step under way.
type stepper struct {
	s      *Session
	thread Thread
	cpu    target.CPU
	kind   StepKind

	// line is the line the step is to leave; it moves on with a landing in the
	// middle of another line.
	line   lineRange
	start  uint64 // of the function it is in
	end    uint64
	inline int    // calls inlined into each other there
	cfa    uint64 // of the frame
	caller uint64 // its return address
}

// callSite is the start of an inlined call at which a StepOver stopped: it is
// the next to be stepped over, though the program counter is inside already.
type callSite struct {
	pc, epoch uint64
	inline    int // calls inlined into each other outside it
}

// lineRange is a stretch of code of one source line, run-time addresses.
type lineRange struct {
	start, end uint64 // [start, end)
	file       string
	line       int
	stmt       bool // start begins a statement
}

func (r lineRange) has(pc uint64) bool { return pc >= r.start && pc < r.end }

func (st *stepper) begin(ctx context.Context) error {
	if err := st.s.saveWatched(ctx); err != nil {
		return err
	}
	regs, err := st.s.machine.ReadRegisters(ctx, st.cpu)
	if err != nil {
		return err
	}
	frames, err := st.s.unwindRegs(ctx, regs)
	if len(frames) == 0 {
		return err // a stack that ends early is good enough
	}
	st.frame(frames)
	st.line, _ = st.s.lineRange(regs.PC())
	if at := st.s.atCall; at.pc == regs.PC() && at.epoch == st.s.epoch && (st.kind == StepOver || st.kind == StepUntil) {
		if locs, err := st.s.Resolve(at.pc); err == nil && at.inline < len(locs) {
			st.inline = at.inline
			outer := &locs[len(locs)-1-at.inline]
			st.line.file, st.line.line = outer.File, outer.Line
		}
	}
	return nil
}

// frame takes the first of frames for the one the step is in.
func (st *stepper) frame(frames []unwind.Frame) {
	pc := frames[0].PC
	st.cfa, st.caller, st.start, st.end = frames[0].CFA, 0, 0, 0
	if len(frames) > 1 {
		st.caller = frames[1].PC
	}
	if _, start, end, err := st.s.FunctionRange(pc); err == nil {
		st.start, st.end = start, end
	}
	st.inline = st.s.inlineDepth(pc)
}

// advance executes one instruction, or a whole call, and decides whether the
// step is over.
func (st *stepper) advance(ctx context.Context) (bool, StopReport, error) {
	s := st.s
	before, err := s.machine.ReadRegisters(ctx, st.cpu)
	if err != nil {
		return true, StopReport{}, err
	}
	call, err := s.callAt(ctx, before.PC())
	if err != nil {
		return true, StopReport{}, err
	}
	over := st.kind == StepOver || st.kind == StepUntil || st.kind == StepInstructionOver
	if call.length > 0 && over {
		return st.cross(ctx, before.PC()+call.length, before.SP())
	}
	ev, err := s.stepInstruction(ctx, st.cpu)
	if err != nil {
		return true, StopReport{}, err
	}
	if done, rep := st.foreign(ev); done {
		return true, rep, nil
	}
	if done, rep, err := s.judgeStepped(ctx, st.cpu); done || err != nil {
		return true, rep, err
	}
	regs, err := s.machine.ReadRegisters(ctx, st.cpu)
	if err != nil {
		return true, StopReport{}, err
	}
	if !s.runs(ctx, st.cpu, st.thread) && s.kernel != nil {
		// The instruction gave the processor to another thread: wait until this
		// one is back at the place it will return to.
		return st.rejoin(ctx)
	}
	if st.kind == StepInstruction || st.kind == StepInstructionOver {
		return true, StopReport{Cause: CauseStep}, nil
	}
	if call.length > 0 && regs.PC() != before.PC()+call.length {
		return st.entered(ctx, before, call, regs.PC())
	}
	done, err := st.landed(ctx, &regs)
	return done, StopReport{Cause: CauseStep}, err
}

// foreign reports stops that are not the end of our single step.
func (st *stepper) foreign(ev target.Event) (bool, StopReport) {
	if ev.Kind == target.EventExited {
		return true, StopReport{Cause: CauseExit, Signal: ev.Status}
	}
	switch ev.Stop.Reason {
	case target.StopInterrupt:
		return true, StopReport{Cause: CauseInterrupt}
	case target.StopForeign:
		return true, StopReport{Cause: CauseForeign}
	case target.StopSignal:
		return true, StopReport{Cause: CauseSignal, Signal: ev.Stop.Signal}
	}
	return false, StopReport{}
}

// cross runs over a call to its return address on the same stack.
func (st *stepper) cross(ctx context.Context, ret, sp uint64) (bool, StopReport, error) {
	rep, err := st.s.runToFrame(ctx, ret, sp)
	if err != nil || rep.Cause != CauseStep {
		return true, rep, err
	}
	st.cpu = rep.CPU
	if st.kind == StepInstructionOver {
		return true, rep, nil
	}
	regs, err := st.s.machine.ReadRegisters(ctx, st.cpu)
	if err != nil {
		return true, rep, err
	}
	done, err := st.landed(ctx, &regs)
	return done, rep, err
}

// entered decides what to do inside a function just called: stop after its
// prologue if it has lines, else run back out.
func (st *stepper) entered(ctx context.Context, before target.Regs, call call, pc uint64) (bool, StopReport, error) {
	body, ok := st.s.stepTarget(pc)
	if !ok {
		return st.cross(ctx, before.PC()+call.length, before.SP())
	}
	if body == pc {
		return true, StopReport{Cause: CauseStep}, nil
	}
	own := []target.Breakpoint{{Kind: st.s.breakKind, Addr: body}}
	rep, err := st.s.runFor(ctx, own, func(ctx context.Context, cpu target.CPU, regs *target.Regs) bool {
		return regs.PC() == body && st.s.runs(ctx, cpu, st.thread)
	})
	if err == nil && rep.Cause == CauseStep {
		st.cpu = rep.CPU
	}
	return true, rep, err
}

// rejoin waits for the thread after it gave up its processor.
func (st *stepper) rejoin(ctx context.Context) (bool, StopReport, error) {
	threads, err := st.s.Threads(ctx)
	if err != nil {
		return true, StopReport{}, err
	}
	for _, t := range threads {
		if t.Addr != st.thread.Addr {
			continue
		}
		cpu, rep, err := st.s.bring(ctx, t)
		if err != nil || rep.Cause != CauseStep {
			return true, rep, err
		}
		st.cpu = cpu
		regs, err := st.s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return true, rep, err
		}
		if st.kind >= StepInstruction {
			return true, rep, nil
		}
		done, err := st.landed(ctx, &regs)
		return done, rep, err
	}
	return true, StopReport{Cause: CauseStep}, nil
}

func (st *stepper) inFunction(pc uint64) bool { return pc >= st.start && pc < st.end }

// landed reports whether a line step ends here. The rules are those of gdb
// (process_event_stop_test in gdb/infrun.c): at the start of a statement of
// another line; where a call inlined on another line begins; not in the middle of
// a line, as behind a return, whose rest is stepped through first.
func (st *stepper) landed(ctx context.Context, regs *target.Regs) (bool, error) {
	pc := regs.PC()
	if st.line.has(pc) {
		return false, nil
	}
	left := !st.inFunction(pc) || pc == st.caller && st.cfa != 0 && regs.SP() >= st.cfa
	if left {
		frames, err := st.s.unwindRegs(ctx, *regs)
		if err != nil && len(frames) == 0 {
			return true, err
		}
		st.frame(frames)
	}
	now, ok := st.s.lineRange(pc)
	if !ok || now.line == 0 {
		return false, nil // no line here: go on until there is one
	}
	locs, err := st.s.Resolve(pc)
	if err != nil {
		return false, nil // as above
	}
	depth := len(locs) - 1
	if depth > st.inline {
		return st.inlined(pc, locs), nil
	}
	if st.kind == StepUntil && !left && pc < st.line.start && now.file == st.line.file {
		return false, nil
	}
	if now.line != st.line.line || now.file != st.line.file {
		same := !left && depth == st.inline
		switch {
		case now.stmt && pc == now.start:
			return true, nil
		case !now.stmt && same:
			return false, nil // a note inside a statement
		case !now.stmt:
			now.line = 0 // so that a statement of this line is another one
		}
	}
	st.line, st.inline = now, depth
	return false, nil
}

// inlined reports whether a line step ends in a call inlined into the function
// it is in. Such a call counts as one: a step goes into it, others stop where it
// begins if it is on another line.
func (st *stepper) inlined(pc uint64, locs []symbolizer.Location) bool {
	if st.kind == StepInto {
		return true
	}
	at := len(locs) - 1 - st.inline
	outer, callee := &locs[at], &locs[at-1]
	if outer.Line == st.line.line && outer.File == st.line.file {
		return false
	}
	before, err := st.s.Resolve(pc - 1)
	if i := len(before) - 2 - st.inline; err == nil && i >= 0 && before[i].Entry == callee.Entry && before[i].Function == callee.Function {
		return false // in its middle
	}
	st.s.atCall = callSite{pc: pc, epoch: st.s.epoch, inline: st.inline}
	return true
}

// inlineDepth counts the calls inlined into each other at an address.
func (s *Session) inlineDepth(pc uint64) int {
	locs, err := s.Resolve(pc)
	if err != nil {
		return 0
	}
	return len(locs) - 1
}
