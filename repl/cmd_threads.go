package repl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ukdbg/ukdbg"
)

func cmdThreads(ctx context.Context, r *REPL, _ string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	threads, err := r.s.Threads(ctx)
	if err != nil {
		return err
	}
	WriteThreads(r.out, ThreadRows(ctx, r.s, threads), r.thread.ID)
	if torn := r.s.Torn(); torn != "" {
		r.printf("%s(%s)%s\n", r.dim(), torn, r.plain())
	}
	return nil
}

// ThreadRow is one line of a thread list.
type ThreadRow struct {
	ukdbg.Thread
	Where string
	Doing string
}

// ThreadRows adds to each thread where it is.
func ThreadRows(ctx context.Context, s *ukdbg.Session, threads []ukdbg.Thread) []ThreadRow {
	rows := make([]ThreadRow, 0, len(threads))
	for _, t := range threads {
		row := ThreadRow{Thread: t, Where: "?"}
		frames, err := s.Backtrace(ctx, t)
		if err != nil && len(frames) == 0 {
			row.Where = err.Error()
		}
		t = s.Explain(t, frames)
		row.Doing = t.Doing()
		row.Where = s.WhereText(t, frames, row.Where)
		rows = append(rows, row)
	}
	return rows
}

// WriteThreads prints a table of threads; the one with the number id is marked.
func WriteThreads(w interface{ Write([]byte) (int, error) }, rows []ThreadRow, id int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "   ID\tNAME\tSTATE\tCPU TIME\tWHERE\n")
	for _, t := range rows {
		mark := "  "
		if t.ID == id {
			mark = "▶ "
		}
		fmt.Fprintf(tw, "%s%3d\t%s\t%s\t%s\t%s\n", mark, t.ID, Printable(t.Name), Printable(t.Doing), cpuTime(t.Thread), Printable(t.Where))
	}
	// A tabwriter over a buffered writer reports errors at the buffer's flush.
	if err := tw.Flush(); err != nil {
		return
	}
}

func cpuTime(t ukdbg.Thread) string {
	if t.ExecTime == nil {
		return "-"
	}
	return shortDuration(time.Duration(*t.ExecTime))
}

func shortDuration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}

// findThread finds a thread by id or by its only name.
func (r *REPL) findThread(ctx context.Context, text string) (ukdbg.Thread, error) {
	threads, err := r.s.Threads(ctx)
	if err != nil {
		return ukdbg.Thread{}, err
	}
	if id, err := strconv.Atoi(text); err == nil {
		for _, t := range threads {
			if t.ID == id {
				return t, nil
			}
		}
		return ukdbg.Thread{}, fmt.Errorf("no thread %d; 'threads' lists them", id)
	}
	var found []ukdbg.Thread
	for _, t := range threads {
		if t.Name == text {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return ukdbg.Thread{}, fmt.Errorf("no thread %q; 'threads' lists them", text)
	}
	return ukdbg.Thread{}, fmt.Errorf("%d threads are called %q: give the id", len(found), text)
}

func cmdThread(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	if args == "" {
		r.printf("[Current thread is %d (%s)]\n", r.thread.ID, Printable(r.thread.Name))
		return nil
	}
	if rest, ok := strings.CutPrefix(args, "apply all "); ok {
		return r.applyAll(ctx, rest)
	}
	t, err := r.findThread(ctx, args)
	if err != nil {
		return err
	}
	if err := r.choose(ctx, t); err != nil {
		return err
	}
	r.printf("[Switching to thread %d (%s)]\n", t.ID, Printable(t.Name))
	if r.current() != nil {
		r.printf("#0  ")
	}
	r.showFrame()
	return nil
}

// applyAll runs a command once for every thread, then selects what was selected.
func (r *REPL) applyAll(ctx context.Context, line string) error {
	back, frame := r.thread, r.frame
	threads, err := r.s.Threads(ctx)
	if err != nil {
		return err
	}
	epoch := r.s.Epoch()
	for _, t := range threads {
		r.printf("\nThread %d (%s):\n", t.ID, Printable(t.Name))
		if err := r.choose(ctx, t); err != nil {
			r.complain(err)
			continue
		}
		if err := r.run(ctx, line); err != nil {
			continue // it was told
		}
		if r.s.Epoch() != epoch {
			return nil // it let the guest run: who is where has changed
		}
	}
	if err := r.choose(ctx, back); err != nil {
		return err
	}
	r.frame = frame
	return nil
}

func cmdBacktrace(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	if args == "all" {
		threads, err := r.s.Threads(ctx)
		if err != nil {
			return err
		}
		for i, t := range threads {
			if i > 0 {
				r.printf("\n")
			}
			frames, err := r.s.Backtrace(ctx, t)
			e := r.s.Explain(t, frames)
			r.printf("Thread %d (%s), %s:\n", t.ID, Printable(t.Name), Printable(e.Doing()))
			for _, f := range frames {
				r.printf("%s\n", r.frameText(f, true))
			}
			if err != nil {
				r.complain(err)
			}
		}
		return nil
	}
	n := len(r.frames)
	if args != "" {
		k, err := strconv.Atoi(args)
		if err != nil {
			return fmt.Errorf("%q is no number of frames", args)
		}
		n = min(n, max(k, 0))
	}
	for _, f := range r.frames[:n] {
		r.printf("%s\n", r.frameText(f, true))
	}
	if n < len(r.frames) {
		r.printf("(More stack frames follow...)\n")
	}
	return nil
}

func cmdFrame(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	if args == "" {
		return r.selectFrame(r.frame)
	}
	if name, ok := strings.CutPrefix(args, "function "); ok {
		name = strings.TrimSpace(name)
		for i, f := range r.frames {
			if f.Loc.Short() == name || f.Loc.Function == name {
				return r.selectFrame(i)
			}
		}
		return fmt.Errorf("no frame of a function %s", name)
	}
	n, err := strconv.Atoi(args)
	if err != nil {
		return fmt.Errorf("%q is no frame number", args)
	}
	return r.selectFrame(n)
}

func cmdUp(ctx context.Context, r *REPL, args string) error   { return r.climb(ctx, args, 1) }
func cmdDown(ctx context.Context, r *REPL, args string) error { return r.climb(ctx, args, -1) }

func (r *REPL) climb(ctx context.Context, args string, dir int) error {
	n, err := count(args)
	if err != nil {
		return err
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	to := r.frame + dir*n
	if to < 0 {
		if r.frame == 0 {
			return fmt.Errorf("bottom (innermost) frame selected; you cannot go down")
		}
		to = 0
	}
	if to >= len(r.frames) {
		if r.frame == len(r.frames)-1 {
			return fmt.Errorf("initial frame selected; you cannot go up")
		}
		to = len(r.frames) - 1
	}
	return r.selectFrame(to)
}

func (r *REPL) selectFrame(n int) error {
	if len(r.frames) == 0 {
		return errNoFrame
	}
	if n < 0 || n >= len(r.frames) {
		return fmt.Errorf("no frame at level %d: there are %d", n, len(r.frames))
	}
	r.frame = n
	r.listFile, r.listLine = "", 0
	r.printf("#%-3d", n)
	r.showFrame()
	return nil
}
