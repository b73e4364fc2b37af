package repl

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ukdbg/ukdbg"
)

// count reads a repeat count, 1 if there is none.
func count(args string) (int, error) {
	if args == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(args)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no count", args)
	}
	return n, nil
}

func cmdContinue(ctx context.Context, r *REPL, args string) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	if n > 1 {
		// As in gdb: the breakpoint the guest stands at passes n-1 times.
		if err := r.ignoreHere(n - 1); err != nil {
			return err
		}
	}
	r.printf("Continuing.\n")
	return r.runs(ctx, func(ctx context.Context) (ukdbg.StopReport, error) { return r.s.Continue(ctx) })
}

// ignoreHere sets the ignore count of the breakpoint at the current pc.
func (r *REPL) ignoreHere(n int) error {
	pc := uint64(0)
	if len(r.frames) > 0 {
		pc = r.frames[0].PC
	}
	for _, b := range r.s.Breakpoints() {
		for _, a := range b.Addrs {
			if a == pc {
				b.Ignore = n
				r.printf("Will ignore next %d crossings of breakpoint %d.  ", n, b.ID)
				return nil
			}
		}
	}
	return fmt.Errorf("the guest is not stopped at a breakpoint, so there is none to ignore %d times", n)
}

func cmdStep(ctx context.Context, r *REPL, args string) error {
	return r.steps(ctx, args, ukdbg.StepInto)
}

func cmdNext(ctx context.Context, r *REPL, args string) error {
	return r.steps(ctx, args, ukdbg.StepOver)
}

func cmdStepi(ctx context.Context, r *REPL, args string) error {
	return r.steps(ctx, args, ukdbg.StepInstruction)
}

func cmdNexti(ctx context.Context, r *REPL, args string) error {
	return r.steps(ctx, args, ukdbg.StepInstructionOver)
}

func (r *REPL) steps(ctx context.Context, args string, kind ukdbg.StepKind) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	return r.runs(ctx, func(ctx context.Context) (rep ukdbg.StopReport, err error) {
		for range n {
			if err := r.refresh(ctx); err != nil {
				return rep, err
			}
			rep, err = r.s.Step(ctx, r.thread, kind)
			if err != nil || rep.Cause != ukdbg.CauseStep {
				return rep, err
			}
			r.follow()
		}
		return rep, nil
	})
}

func cmdFinish(ctx context.Context, r *REPL, _ string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	if r.frame >= len(r.frames) {
		return errNoFrame
	}
	from := r.frames[r.frame]
	r.printf("Run till exit from %s\n", r.frameText(from, false))
	err := r.runs(ctx, func(ctx context.Context) (ukdbg.StopReport, error) {
		return r.s.Finish(ctx, r.thread, from)
	})
	if err != nil {
		return err
	}
	if text, ok := r.s.ReturnValue(ctx, from, r.thread); ok {
		r.printf("Value returned is %s\n", Printable(text))
	}
	return nil
}

func cmdUntil(ctx context.Context, r *REPL, args string) error {
	if args == "" {
		return r.steps(ctx, "", ukdbg.StepUntil)
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	place, err := r.s.FindPlace(ctx, args, r.current())
	if err != nil {
		return err
	}
	return r.runs(ctx, func(ctx context.Context) (ukdbg.StopReport, error) {
		return r.s.RunTo(ctx, r.thread, r.frames[r.frame], place.Addrs)
	})
}

// runs lets the guest run by f with ^C stopping the guest, then tells where it
// stands and runs the commands of what it hit.
func (r *REPL) runs(ctx context.Context, f func(context.Context) (ukdbg.StopReport, error)) error {
	r.flush()
	keep := r.thread
	gctx, end := r.guarded(ctx)
	rep, err := f(gctx)
	end()
	if err != nil {
		return err
	}
	return r.stopped(ctx, rep, keep)
}
