package repl

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg"
)

// takeOver brings an observed guest under control and says so: it stands from
// here on.
func (r *REPL) takeOver(ctx context.Context) error {
	if err := r.s.TakeOver(ctx); err != nil {
		return err
	}
	r.follow()
	r.printf("[the guest is stopped, by a stub opened for the time; 'observe' gives it back, 'continue' lets it run]\n")
	return nil
}

// cmdInterrupt stops a guest that is observed: Execute has done that by now.
func cmdInterrupt(ctx context.Context, r *REPL, _ string) error {
	if !r.s.TakenOver() {
		return errors.New("the guest is stopped")
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	r.showFrame()
	return nil
}

// cmdObserve gives a guest that was taken over back.
func cmdObserve(ctx context.Context, r *REPL, _ string) error {
	if r.s.Observing() {
		return errors.New("the guest is observed: it was not stopped")
	}
	bye, err := r.s.Release(ctx)
	if err != nil {
		return err
	}
	r.follow()
	r.printf("%s, and is observed\n", ukdbg.FarewellText(bye))
	if len(r.s.Breakpoints()) > 0 {
		r.printf("breakpoints stay listed; they work while the guest is under control\n")
	}
	return nil
}
