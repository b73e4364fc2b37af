package repl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg"
)

func cmdHeap(ctx context.Context, r *REPL, _ string) error {
	heap, err := r.s.Heap(ctx)
	if err != nil {
		return err
	}
	ukdbg.WriteHeap(r.out, heap)
	suspects, err := r.s.HeapSuspects(ctx, heap)
	ukdbg.WriteHeapSuspects(r.out, suspects)
	return err
}

func cmdOwner(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	addr, err := r.s.Number(ctx, strings.TrimPrefix(args, "owns "), r.current())
	if err != nil {
		return err
	}
	o, err := r.s.Owner(ctx, addr)
	if err != nil {
		return err
	}
	ukdbg.WriteOwner(r.out, o)
	return nil
}

func cmdDmesg(ctx context.Context, r *REPL, _ string) error {
	text, err := r.s.ConsoleRing(ctx)
	if err != nil {
		return err
	}
	r.printf("%s", Printable(strings.ReplaceAll(string(text), "\r\n", "\n")))
	return nil
}

// traceTail is how many records trace shows.
const traceTail = 20

func cmdTrace(ctx context.Context, r *REPL, args string) error {
	t, err := r.s.Trace(ctx)
	if err != nil {
		return err
	}
	if args == "summary" {
		ukdbg.WriteTraceSummary(r.out, t)
		return nil
	}
	n := traceTail
	if args != "" {
		if n, err = strconv.Atoi(args); err != nil || n < 1 {
			return fmt.Errorf("%q is no number of records", args)
		}
	}
	ukdbg.WriteTrace(r.out, t, n)
	return nil
}

func cmdFault(ctx context.Context, r *REPL, _ string) error {
	report, err := r.s.FaultAtPrompt(ctx)
	if err != nil {
		return err
	}
	r.printf("%s", Printable(report.Text))
	return nil
}

func cmdProfile(ctx context.Context, r *REPL, args string) error {
	seconds, hz := 2.0, 100.0
	for i, f := range strings.Fields(args) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || v <= 0 || i > 1 {
			return fmt.Errorf("profile wants SECONDS and HZ, not %q", args)
		}
		if i == 0 {
			seconds = v
		} else {
			hz = v
		}
	}
	r.printf("sampling for %.3g s at %.3g Hz, ^C ends it\n", seconds, hz)
	r.flush()
	gctx, end := r.guarded(ctx)
	p, err := r.s.Profile(gctx, ukdbg.ProfileOptions{Duration: time.Duration(seconds * float64(time.Second)), Hz: hz})
	end()
	r.follow()
	if err != nil {
		return err
	}
	ukdbg.WriteProfile(r.out, p, 15)
	return nil
}
