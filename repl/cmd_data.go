package repl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// display is an expression printed at each stop.
type display struct {
	id     int
	format string
	text   string
}

// String is what was asked for: "/x counter".
func (d display) String() string {
	if d.format == "" {
		return Printable(d.text)
	}
	return "/" + d.format + " " + Printable(d.text)
}

// cutFormat cuts a leading "/FMT" off the arguments.
func cutFormat(args string) (format, rest string) {
	if !strings.HasPrefix(args, "/") {
		return "", args
	}
	format, rest, _ = strings.Cut(args[1:], " ")
	return format, strings.TrimSpace(rest)
}

func cmdPrint(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	format, text := cutFormat(args)
	out, err := r.s.Print(ctx, text, format, r.current())
	if err != nil {
		return err
	}
	r.printf("%s\n", Printable(out))
	return nil
}

func cmdPtype(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	out, err := r.s.Ptype(ctx, args, r.current())
	if err != nil {
		return err
	}
	r.printf("type = %s\n", Printable(out))
	return nil
}

func cmdWhatis(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	out, err := r.s.Whatis(ctx, args, r.current())
	if err != nil {
		return err
	}
	r.printf("type = %s\n", Printable(out))
	return nil
}

func cmdX(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	format, text := cutFormat(args)
	out, next, err := r.s.Examine(ctx, text, format, r.examined, r.current())
	r.printf("%s", Printable(out))
	r.examined = next
	if format != "" {
		// Repeating goes on with the same format behind what was shown.
		r.last = "x/" + format
	} else {
		r.last = "x"
	}
	return err
}

func cmdSet(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	for _, prefix := range []string{"variable ", "var "} {
		args = strings.TrimPrefix(args, prefix)
	}
	if args == "" {
		return errors.New("set what? give an assignment: set var counter = 3")
	}
	frame := r.current()
	if err := r.s.Assign(ctx, args, frame); err != nil {
		return err
	}
	keep := r.frame
	r.follow()
	if err := r.refresh(ctx); err != nil {
		return err
	}
	r.frame = min(keep, len(r.frames)-1)
	return nil
}

func cmdDisplay(ctx context.Context, r *REPL, args string) error {
	if args == "" {
		for _, d := range r.displays {
			if err := r.showDisplay(ctx, d); err != nil {
				r.complain(err)
			}
		}
		return nil
	}
	format, text := cutFormat(args)
	if err := r.s.CheckExpression(text); err != nil {
		return err
	}
	r.lastDisp++
	d := display{r.lastDisp, format, text}
	r.displays = append(r.displays, d)
	return r.showDisplay(ctx, d)
}

func (r *REPL) showDisplay(ctx context.Context, d display) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	out, err := r.s.Show(ctx, d.text, d.format, r.current())
	if err != nil {
		return fmt.Errorf("display %d: %w", d.id, err)
	}
	r.printf("%d: %s = %s\n", d.id, d, Printable(out))
	return nil
}

func cmdUndisplay(_ context.Context, r *REPL, args string) error {
	if args == "" {
		r.displays = nil
		return nil
	}
	id, err := strconv.Atoi(args)
	if err != nil {
		return fmt.Errorf("%q is no display number", args)
	}
	for i, d := range r.displays {
		if d.id == id {
			r.displays = append(r.displays[:i], r.displays[i+1:]...)
			return nil
		}
	}
	return fmt.Errorf("no display %d", id)
}

// maxFind bounds a search, in bytes.
const maxFind = 1 << 30

// cmdFind searches memory: find START, +LENGTH|END, VALUE...; a value is a
// string in quotes or an expression, of 8 bytes unless it has a type of its own.
func cmdFind(ctx context.Context, r *REPL, args string) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	parts := splitComma(args)
	if len(parts) < 3 {
		return errors.New("find wants a start, an end or +length, and values, with commas between")
	}
	start, err := r.s.Number(ctx, parts[0], r.current())
	if err != nil {
		return err
	}
	var length uint64
	if l, ok := strings.CutPrefix(parts[1], "+"); ok {
		length, err = r.s.Number(ctx, l, r.current())
	} else {
		length, err = r.s.Number(ctx, parts[1], r.current())
		length = length - start + 1
	}
	if err != nil {
		return err
	}
	if length == 0 || length > maxFind {
		return fmt.Errorf("find searches 1 to %d bytes, not %d", maxFind, length)
	}
	var pattern []byte
	for _, p := range parts[2:] {
		b, err := r.s.Bytes(ctx, p, r.current())
		if err != nil {
			return err
		}
		pattern = append(pattern, b...)
	}
	n := 0
	var last uint64
	gctx, end := r.guarded(ctx)
	err = target.Find(gctx, r.s.Memory(), start, length, pattern, func(addr uint64) bool {
		n++
		last = addr
		name := ""
		if sym, off, ok := r.s.Symbolize(addr); ok {
			name = fmt.Sprintf(" <%s+%d>", Printable(sym), off)
		}
		r.printf("%#x%s\n", addr, name)
		return n < 1000
	})
	end()
	if err != nil {
		return err
	}
	if n == 0 {
		r.printf("Pattern not found.\n")
		return nil
	}
	r.examined.Next = last
	r.printf("%d pattern%s found.\n", n, plural(n))
	return nil
}

// splitComma cuts at commas outside quotes and brackets.
func splitComma(s string) []string {
	var out []string
	depth, start := 0, 0
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}
