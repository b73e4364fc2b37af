package repl

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

// infoTopic is one thing info tells about.
type infoTopic struct {
	name, help string
	run        func(ctx context.Context, r *REPL, args string) error
}

func infoTopics() []infoTopic {
	return []infoTopic{
		{"registers", "the selected frame's registers", infoRegisters},
		{"all-registers", "system and vector registers too", infoAllRegisters},
		{"threads", "the threads", cmdThreads},
		{"breakpoints", "breakpoints and watchpoints", func(_ context.Context, r *REPL, _ string) error { return r.infoBreakpoints() }},
		{"watchpoints", "breakpoints and watchpoints", func(_ context.Context, r *REPL, _ string) error { return r.infoBreakpoints() }},
		{"image", "the image, its identity and slide", infoImage},
		{"target", "the target and what it can", infoTarget},
		{"locals", "local variables of the selected frame", infoLocals},
		{"args", "arguments of the selected frame", infoArgs},
		{"symbol", "the symbol at an address", infoSymbol},
		{"line", "the code of a source line", infoLine},
		{"scope", "the variables visible at a place", infoScope},
		{"source", "the source file of the selected frame", infoSource},
		{"frame", "the selected frame", infoFrame},
		{"display", "the expressions displayed at each stop", infoDisplay},
	}
}

func cmdInfo(ctx context.Context, r *REPL, args string) error {
	word, rest, _ := strings.Cut(args, " ")
	topics := infoTopics()
	if word == "" {
		for _, t := range topics {
			r.printf("info %-14s %s\n", t.name, t.help)
		}
		return nil
	}
	abbreviations := map[string]string{"r": "registers", "b": "breakpoints", "s": "symbol", "f": "frame", "wat": "watchpoints"}
	if full, ok := abbreviations[word]; ok {
		word = full
	}
	var found []infoTopic
	for _, t := range topics {
		if t.name == word {
			found = []infoTopic{t}
			break
		}
		if strings.HasPrefix(t.name, word) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("nothing is known of %q; info alone lists the topics", word)
	case 1:
		if err := r.refresh(ctx); err != nil {
			return err
		}
		return found[0].run(ctx, r, strings.TrimSpace(rest))
	}
	var names []string
	for _, t := range found {
		names = append(names, t.name)
	}
	return &UnknownError{Word: word, Among: names}
}

func infoRegisters(_ context.Context, r *REPL, args string) error {
	f := r.current()
	if f == nil {
		return errNoFrame
	}
	want := map[string]bool{}
	for _, n := range strings.Fields(args) {
		want[strings.TrimPrefix(n, "$")] = true
	}
	shown := 0
	for _, reg := range r.s.Arch().Regs {
		if len(want) > 0 && !want[reg.Name] {
			continue
		}
		shown++
		v, ok := f.Regs.Get(reg.Num)
		if !ok {
			r.printf("%-15s<not saved>\n", reg.Name)
			continue
		}
		r.printf("%-15s%s\n", reg.Name, registerText(r, reg, v))
	}
	if shown == 0 {
		return fmt.Errorf("no register %s", args)
	}
	return nil
}

// registerText is gdb's two columns: hexadecimal, then natural.
func registerText(r *REPL, reg arch.Reg, v uint64) string {
	a := r.s.Arch()
	hex := fmt.Sprintf("%-19s", fmt.Sprintf("%#x", v))
	switch {
	case reg.Num == a.PC:
		if name, off, ok := r.s.Symbolize(v); ok {
			return hex + fmt.Sprintf("%#x <%s+%d>", v, Printable(name), off)
		}
		return hex + fmt.Sprintf("%#x", v)
	case reg.Num == a.SP || reg.Num == a.FP && a == arch.X86_64:
		return hex + fmt.Sprintf("%#x", v)
	case reg.Num == a.Flags:
		return hex + a.FlagsText(v)
	case reg.Bits == 32:
		return hex + fmt.Sprintf("%d", int32(v))
	}
	return hex + fmt.Sprintf("%d", int64(v))
}

func infoAllRegisters(ctx context.Context, r *REPL, _ string) error {
	if err := infoRegisters(ctx, r, ""); err != nil {
		return err
	}
	sys, err := r.s.SystemRegisters(ctx, r.s.StopCPU())
	if err != nil {
		return err
	}
	names := make([]string, 0, len(sys))
	for n := range sys {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		v := sys[n]
		var b strings.Builder
		for i := len(v) - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "%02x", v[i])
		}
		digits := strings.TrimLeft(b.String(), "0")
		if digits == "" {
			digits = "0"
		}
		r.printf("%-15s0x%s\n", Printable(n), digits)
	}
	return nil
}

func infoImage(ctx context.Context, r *REPL, _ string) error {
	for _, l := range r.s.ImageFacts(ctx) {
		r.printf("%-13s %s\n", Printable(l[0])+":", Printable(l[1])) // a path may be longer
	}
	return nil
}

func infoTarget(_ context.Context, r *REPL, _ string) error {
	for _, l := range r.s.TargetFacts() {
		r.printf("%-14s%s\n", l[0]+":", Printable(l[1]))
	}
	return nil
}

func infoLocals(ctx context.Context, r *REPL, _ string) error {
	f := r.current()
	if f == nil {
		return errNoFrame
	}
	out, err := r.s.Locals(ctx, *f)
	if err != nil {
		return err
	}
	if out == "" {
		out = "No locals.\n"
	}
	r.printf("%s", Printable(out))
	return nil
}

func infoArgs(ctx context.Context, r *REPL, _ string) error {
	f := r.current()
	if f == nil {
		return errNoFrame
	}
	out, err := r.s.Args(ctx, *f)
	if err != nil {
		return err
	}
	if out == "" {
		out = "No arguments.\n"
	}
	r.printf("%s", Printable(out))
	return nil
}

func infoSymbol(ctx context.Context, r *REPL, args string) error {
	addr, err := r.s.Number(ctx, args, r.current())
	if err != nil {
		return err
	}
	name, off, ok := r.s.Symbolize(addr)
	if !ok {
		r.printf("No symbol matches %s.\n", Printable(args))
		return nil
	}
	if off > 0 {
		name = fmt.Sprintf("%s + %d", name, off)
	}
	r.printf("%s in section %s\n", Printable(name), Printable(r.s.SectionName(addr)))
	return nil
}

func infoLine(ctx context.Context, r *REPL, args string) error {
	place, err := r.s.FindPlace(ctx, args, r.current())
	if err != nil {
		return err
	}
	for _, a := range place.Addrs {
		text, err := r.s.LineText(a)
		if err != nil {
			return err
		}
		r.printf("%s\n", Printable(text))
	}
	return nil
}

func infoScope(ctx context.Context, r *REPL, args string) error {
	if args == "" {
		return errors.New("info scope wants a place: a function or FILE:LINE")
	}
	place, err := r.s.FindPlace(ctx, args, r.current())
	if err != nil {
		return err
	}
	text, err := r.s.ScopeText(place.Addrs[0])
	if err != nil {
		return err
	}
	r.printf("%s", Printable(text))
	return nil
}

func infoSource(_ context.Context, r *REPL, _ string) error {
	f := r.current()
	if f == nil || f.Loc.File == "" {
		return errors.New("no source file is known here")
	}
	r.printf("Current source file is %s\n", Printable(f.Loc.File))
	if path, err := r.s.SourcePath(f.Loc.File); err == nil {
		r.printf("Located in %s\n", Printable(path))
	} else {
		r.printf("%s\n", Printable(err.Error()))
	}
	return nil
}

func infoFrame(_ context.Context, r *REPL, _ string) error {
	f := r.current()
	if f == nil {
		return errNoFrame
	}
	r.printf("Stack level %d, frame at %#x:\n", f.Level, f.CFA)
	r.printf(" pc = %#x in %s\n", f.PC, r.shortPlace(*f))
	r.printf(" found by %s\n", f.Found)
	if f.Inline {
		r.printf(" inlined into frame %d\n", f.Level+1)
	}
	if f.Level+1 < len(r.frames) {
		r.printf(" called from %s\n", r.shortPlace(r.frames[f.Level+1]))
	}
	return nil
}

func infoDisplay(_ context.Context, r *REPL, _ string) error {
	if len(r.displays) == 0 {
		r.printf("There are no auto-display expressions now.\n")
	}
	for _, d := range r.displays {
		r.printf("%d:\t%s\n", d.id, d)
	}
	return nil
}
