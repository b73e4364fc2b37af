package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/target"
)

func cmdBreak(ctx context.Context, r *REPL, args string) error {
	return r.addBreak(ctx, args, target.BreakSoftware, false)
}

func cmdTbreak(ctx context.Context, r *REPL, args string) error {
	return r.addBreak(ctx, args, target.BreakSoftware, true)
}

func cmdHbreak(ctx context.Context, r *REPL, args string) error {
	return r.addBreak(ctx, args, target.BreakHardware, false)
}

// breakArgs cuts "LOCATION thread ID if CONDITION" into its parts.
func breakArgs(args string) (loc string, thread string, cond string) {
	loc = args
	if before, after, ok := cutWord(loc, "if"); ok {
		loc, cond = before, after
	}
	if before, after, ok := cutWord(loc, "thread"); ok {
		loc, thread = before, after
	}
	return strings.TrimSpace(loc), strings.TrimSpace(thread), strings.TrimSpace(cond)
}

// cutWord cuts s around a word that stands alone.
func cutWord(s, word string) (before, after string, ok bool) {
	for at := 0; ; {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return s, "", false
		}
		i += at
		end := i + len(word)
		if (i == 0 || s[i-1] == ' ') && (end == len(s) || s[end] == ' ' || word == "if" && s[end] == '(') {
			return s[:i], s[end:], true
		}
		at = end
	}
}

func (r *REPL) addBreak(ctx context.Context, args string, kind target.BreakKind, temporary bool) error {
	loc, thread, cond := breakArgs(args)
	b := ukdbg.Breakpoint{Kind: kind, Where: loc, Condition: cond, Temporary: temporary}
	if thread != "" {
		t, err := r.findThread(ctx, thread)
		if err != nil {
			return err
		}
		b.Thread = t.ID
	}
	if cond != "" {
		if err := r.s.CheckExpression(cond); err != nil {
			return err
		}
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	place, err := r.s.FindPlace(ctx, loc, r.current())
	if err != nil {
		return err
	}
	b.Addrs = place.Addrs
	if b.Where == "" {
		b.Where = fmt.Sprintf("*%#x", place.Addrs[0])
	}
	added, err := r.s.AddBreakpoint(b)
	if err != nil {
		return err
	}
	what := "Breakpoint"
	if temporary {
		what = "Temporary breakpoint"
	}
	if kind == target.BreakHardware {
		what = "Hardware breakpoint"
	}
	r.printf("%s %d at %s", what, added.ID, r.place(added.Addrs[0]))
	if n := len(added.Addrs); n > 1 {
		r.printf(" and %d more", n-1)
	}
	r.printf("\n")
	return nil
}

func cmdWatch(ctx context.Context, r *REPL, args string) error {
	return r.addWatch(ctx, args, target.WatchWrite)
}

func cmdRwatch(ctx context.Context, r *REPL, args string) error {
	return r.addWatch(ctx, args, target.WatchRead)
}

func cmdAwatch(ctx context.Context, r *REPL, args string) error {
	return r.addWatch(ctx, args, target.WatchAccess)
}

func (r *REPL) addWatch(ctx context.Context, args string, kind target.BreakKind) error {
	text, thread, cond := breakArgs(args)
	if text == "" {
		return errors.New("watch what? give an expression with an address")
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	addr, size, err := r.s.Location(ctx, text, r.current())
	if err != nil {
		return err
	}
	b := ukdbg.Breakpoint{Kind: kind, Where: text, Addrs: []uint64{addr}, Len: size, Condition: cond}
	if thread != "" {
		t, err := r.findThread(ctx, thread)
		if err != nil {
			return err
		}
		b.Thread = t.ID
	}
	if size < 1 || size > 8 {
		return fmt.Errorf("%s has %d bytes; hardware watches 1 to 8", text, size)
	}
	added, err := r.s.AddBreakpoint(b)
	if err != nil {
		return err
	}
	r.printf("%s %d: %s (%d bytes at %#x)\n", watchName(kind), added.ID, Printable(text), size, addr)
	return nil
}

func watchName(k target.BreakKind) string {
	switch k {
	case target.WatchRead:
		return "Hardware read watchpoint"
	case target.WatchAccess:
		return "Hardware access (read/write) watchpoint"
	}
	return "Hardware watchpoint"
}

// breakIDs reads breakpoint numbers; none stands for all.
func (r *REPL) breakIDs(args string) ([]*ukdbg.Breakpoint, error) {
	args = strings.TrimSpace(strings.TrimPrefix(args, "breakpoints"))
	if args == "" {
		return append([]*ukdbg.Breakpoint(nil), r.s.Breakpoints()...), nil
	}
	var out []*ukdbg.Breakpoint
	for _, f := range strings.Fields(args) {
		b, err := r.breakID(f)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (r *REPL) breakID(text string) (*ukdbg.Breakpoint, error) {
	id, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no breakpoint number", text)
	}
	return r.s.Breakpoint(id)
}

func cmdDelete(_ context.Context, r *REPL, args string) error {
	list, err := r.breakIDs(args)
	if err != nil {
		return err
	}
	for _, b := range list {
		if err := r.s.DeleteBreakpoint(b.ID); err != nil {
			return err
		}
	}
	return nil
}

func cmdEnable(_ context.Context, r *REPL, args string) error  { return r.able(args, false) }
func cmdDisable(_ context.Context, r *REPL, args string) error { return r.able(args, true) }

func (r *REPL) able(args string, disabled bool) error {
	list, err := r.breakIDs(args)
	for _, b := range list {
		b.Disabled = disabled
	}
	return err
}

func cmdCondition(_ context.Context, r *REPL, args string) error {
	id, cond, _ := strings.Cut(args, " ")
	b, err := r.breakID(id)
	if err != nil {
		return err
	}
	cond = strings.TrimSpace(cond)
	if cond == "" {
		b.Condition = ""
		r.printf("Breakpoint %d now unconditional.\n", b.ID)
		return nil
	}
	if err := r.s.CheckExpression(cond); err != nil {
		return err
	}
	b.Condition = cond
	return nil
}

func cmdIgnore(_ context.Context, r *REPL, args string) error {
	f := strings.Fields(args)
	if len(f) != 2 {
		return errors.New("ignore wants a breakpoint number and a count")
	}
	b, err := r.breakID(f[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no count", f[1])
	}
	b.Ignore = n
	r.printf("Will ignore next %d crossings of breakpoint %d.\n", n, b.ID)
	return nil
}

// cmdCommands reads lines up to "end" for a breakpoint.
func cmdCommands(ctx context.Context, r *REPL, args string) error {
	all := r.s.Breakpoints()
	if len(all) == 0 {
		return errors.New("no breakpoints")
	}
	b := all[len(all)-1]
	if args != "" {
		var err error
		if b, err = r.breakID(args); err != nil {
			return err
		}
	}
	if r.opt.In.Interactive() {
		r.printf("commands for breakpoint %d, one a line, 'end' ends them\n", b.ID)
	}
	r.flush()
	var lines []string
	for {
		line, err := r.readMore(ctx)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || strings.TrimSpace(line) == "end" {
			break
		}
		if len(lines) >= 1000 {
			return errors.New("more than 1000 commands for one breakpoint")
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	b.Commands = lines
	return nil
}

func (r *REPL) infoBreakpoints() error {
	list := r.s.Breakpoints()
	if len(list) == 0 {
		r.printf("No breakpoints or watchpoints.\n")
		return nil
	}
	r.printf("Num  Type           Disp Enb Where\n")
	for _, b := range list {
		kind := map[target.BreakKind]string{
			target.BreakSoftware: "breakpoint", target.BreakHardware: "hw breakpoint",
			target.WatchWrite: "hw watchpoint", target.WatchRead: "read watchpoint", target.WatchAccess: "acc watchpoint",
		}[b.Kind]
		disp, enb := "keep", "y"
		if b.Temporary {
			disp = "del"
		}
		if b.Disabled {
			enb = "n"
		}
		where := Printable(b.Where)
		if !b.IsWatch() {
			where = r.place(b.Addrs[0])
		}
		r.printf("%-4d %-14s %-4s %-3s %s\n", b.ID, kind, disp, enb, where)
		for _, a := range b.Addrs[1:] {
			r.printf("%29s%s\n", "", r.place(a))
		}
		if b.Condition != "" {
			r.printf("\tstop only if %s\n", Printable(b.Condition))
		}
		if b.Thread != 0 {
			r.printf("\tstop only in thread %d\n", b.Thread)
		}
		if b.Hits > 0 {
			r.printf("\tbreakpoint already hit %d time%s\n", b.Hits, plural(b.Hits))
		}
		if b.Ignore > 0 {
			r.printf("\tignore next %d hits\n", b.Ignore)
		}
		for _, c := range b.Commands {
			r.printf("\t%s\n", Printable(c))
		}
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
