package repl

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// listLines is how many lines list shows.
const listLines = 10

func cmdList(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	r.last = "list"
	switch {
	case args == "-":
		if r.listFile == "" {
			return errors.New("list - goes back from what list showed; nothing was shown")
		}
		from := max(1, r.listLine-2*listLines)
		if r.listLine-listLines <= 1 {
			return errors.New("already at the start of the file")
		}
		return r.showLines(r.listFile, from, min(from+listLines-1, r.listLine-listLines-1))
	case args != "":
		place, err := r.s.FindPlace(ctx, args, r.current())
		if err != nil {
			return err
		}
		if place.File == "" {
			return fmt.Errorf("no source line is known for %s", args)
		}
		return r.listAround(place.File, place.Line)
	case r.listFile != "":
		return r.showLines(r.listFile, r.listLine, r.listLine+listLines-1)
	}
	f := r.current()
	if f == nil {
		return errNoFrame
	}
	if f.Loc.File == "" {
		return fmt.Errorf("no source line is known at %#x; disassemble shows the code", f.PC)
	}
	return r.listAround(f.Loc.File, f.Loc.Line)
}

func (r *REPL) listAround(file string, line int) error {
	from := max(1, line-listLines/2)
	return r.showLines(file, from, from+listLines-1)
}

func (r *REPL) showLines(file string, from, to int) error {
	lines, err := r.s.SourceLines(file, from, to)
	if err != nil {
		return err
	}
	mark := 0
	if f := r.current(); f != nil && f.Loc.File == file {
		mark = f.Loc.Line
	}
	for i, l := range lines {
		arrow := ""
		if from+i == mark {
			arrow = r.bold() + "→" + r.plain()
		}
		r.printf("%d%s\t%s\n", from+i, arrow, Printable(l))
	}
	r.listFile, r.listLine = file, from+len(lines)
	return nil
}

func cmdDisassemble(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	format, text := cutFormat(args)
	pc := uint64(0)
	if f := r.current(); f != nil {
		pc = f.PC
	}
	at := pc
	if text != "" {
		var err error
		if at, err = r.s.Number(ctx, text, r.current()); err != nil {
			return err
		}
	}
	name, start, end, err := r.s.FunctionRange(at)
	if err != nil {
		start, end, name = at, at+64, ""
	}
	if name != "" {
		r.printf("Dump of assembler code for function %s:\n", Printable(name))
	}
	list, err := r.s.Disassemble(ctx, start, int(min(end-start, 10000)))
	if err != nil {
		return err
	}
	lastLine := 0
	for _, in := range list {
		if in.Addr >= end {
			break
		}
		if strings.Contains(format, "s") {
			if locs, err := r.s.Resolve(in.Addr); err == nil && len(locs) > 0 && locs[0].Line != lastLine {
				lastLine = locs[0].Line
				if src, err := r.s.SourceLines(locs[0].File, lastLine, lastLine); err == nil && len(src) == 1 {
					r.printf("%d\t%s\n", lastLine, Printable(src[0]))
				}
			}
		}
		mark := "   "
		if in.Addr == pc {
			mark = "=> "
		}
		off := ""
		if name != "" {
			off = fmt.Sprintf(" <+%d>", in.Addr-start)
		}
		raw := ""
		if strings.Contains(format, "r") {
			raw = fmt.Sprintf("\t% x", in.Code)
		}
		r.printf("%s0x%016x%s:%s\t%s\n", mark, in.Addr, off, raw, Printable(in.Text))
	}
	if name != "" {
		r.printf("End of assembler dump.\n")
	}
	return nil
}
