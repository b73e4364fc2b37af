package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ukdbg/ukdbg"
)

func cmdHelp(_ context.Context, r *REPL, args string) error {
	if args != "" {
		word, _ := split(args)
		c, err := lookup(r.cmds, word)
		if err != nil {
			return err
		}
		r.printf("%s %s\n    %s\n", c.name, c.args, c.help)
		if len(c.aliases) > 0 {
			r.printf("    short: %s\n", strings.Join(c.aliases, ", "))
		}
		return nil
	}
	topic := ""
	for _, c := range r.cmds {
		if c.topic != topic {
			topic = c.topic
			r.printf("%s%s%s\n", r.bold(), topic, r.plain())
		}
		r.printf("  %-44s %s\n", c.name+" "+c.args, c.help)
	}
	r.printf("A command may be cut short; Tab completes, an empty line repeats a step.\n")
	return nil
}

// RunFile runs the commands of a file. It stops at the first that fails.
func (r *REPL) RunFile(ctx context.Context, path string) error {
	if r.depth >= maxSource {
		return fmt.Errorf("%s: command files call each other more than %d deep", path, maxSource)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// Commands that read more lines ("commands") read them from the file.
	in := r.opt.In
	lines := NewPipe(bufio.NewReader(f))
	r.opt.In = lines
	r.depth++
	defer func() { r.opt.In = in; r.depth-- }()
	for n := 1; ; n++ {
		line, err := lines.ReadLine(ctx, "")
		if err != nil {
			return nil
		}
		if err := r.Execute(ctx, line); err != nil {
			if errors.Is(err, errQuit) {
				return err
			}
			return fmt.Errorf("%s: line %d failed: %s", path, n, line)
		}
	}
}

func cmdSource(ctx context.Context, r *REPL, args string) error {
	if args == "" {
		return errors.New("source wants a file")
	}
	return r.RunFile(ctx, args)
}

func cmdMonitor(ctx context.Context, r *REPL, args string) error {
	text, err := r.s.Monitor(ctx, args)
	if err != nil {
		return err
	}
	r.printf("%s", Printable(strings.ReplaceAll(text, "\r\n", "\n")))
	r.follow()
	return nil
}

func cmdDetach(ctx context.Context, r *REPL, _ string) error {
	if r.left {
		return errors.New("already detached")
	}
	bye, err := r.s.Leave(ctx)
	r.left = true
	r.frames = nil
	if err != nil {
		return err
	}
	if text := r.s.ObservedText(); text != "" && !r.s.Live() {
		r.printf("%s\n", text)
		return nil
	}
	r.printf("%s\n", ukdbg.FarewellText(bye))
	return nil
}

func cmdQuit(context.Context, *REPL, string) error { return errQuit }

// IsQuit reports whether a command asked to end the session.
func IsQuit(err error) bool { return errors.Is(err, errQuit) }
