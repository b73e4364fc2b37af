package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg"
)

// Options say how a session talks.
type Options struct {
	In  LineReader
	Out io.Writer
	// Color allows ANSI colours.
	Color bool
	// Leave is called, from any goroutine, when ^C came twice with nothing
	// running and no prompt that reads keys.
	Leave func()
}

// REPL is one session. It is used from one goroutine.
type REPL struct {
	s    *ukdbg.Session
	opt  Options
	out  *bufio.Writer
	cmds []*command

	// What the person looks at; reset whenever the guest ran.
	epoch  uint64
	thread ukdbg.Thread
	frames []ukdbg.Frame
	frame  int

	last     string // repeated by an empty line
	listFile string // where list goes on
	listLine int
	examined ukdbg.Examined // where x goes on
	displays []display
	lastDisp int
	depth    int // of nested source files
	ints     interrupts
	failed   bool
	deaf     error // why nobody reads what is printed
	left     bool
}

// errQuit ends the session.
var errQuit = errors.New("quit")

// errNoGuest is what commands say after detach, or after the guest ended.
var errNoGuest = errors.New("no guest: it was given back or ended; quit leaves")

// maxSource bounds how deep command files may call each other.
const maxSource = 16

// New returns a session over s.
func New(s *ukdbg.Session, opt Options) *REPL {
	return &REPL{s: s, opt: opt, out: bufio.NewWriter(opt.Out), cmds: commands()}
}

// SetInput changes where the lines come from.
func (r *REPL) SetInput(in LineReader) { r.opt.In = in }

// Failed reports whether a command failed, which is the exit status of a batch.
func (r *REPL) Failed() bool { return r.failed }

// Welcome prints what the session is about and where the guest stands.
func (r *REPL) Welcome(ctx context.Context) {
	defer r.flush()
	for _, l := range r.s.Banner(ctx) {
		r.printf("%s\n", l)
	}
	if err := r.refresh(ctx); err != nil {
		r.complain(err)
		return
	}
	r.printf("%s · help for commands\n", r.situation(ctx))
}

// Run reads and runs commands until quit, the end of input, two ^C in a row or
// the end of ctx. The guest is left by the caller.
func (r *REPL) Run(ctx context.Context) error {
	defer r.flush()
	interrupted := false
	for {
		r.pollEvents(ctx)
		r.flush()
		if r.deaf != nil {
			return r.deaf
		}
		line, err := r.opt.In.ReadLine(ctx, r.prompt())
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case errors.Is(err, ErrInterrupt):
			if interrupted {
				return nil
			}
			interrupted = true
			if r.s.Observing() {
				r.printf("^C again leaves; the guest runs on, 'interrupt' stops it\n")
			} else {
				r.printf("^C again leaves; the guest is stopped, 'continue' lets it run\n")
			}
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		interrupted = false
		if strings.TrimSpace(line) == "" {
			if !r.opt.In.Interactive() || r.last == "" {
				continue
			}
			line = r.last
		}
		if err := r.Execute(ctx, line); errors.Is(err, errQuit) {
			return nil
		}
	}
}

func (r *REPL) prompt() string {
	if r.opt.Color {
		return "\x1b[1m(ukdbg)\x1b[0m "
	}
	return "(ukdbg) "
}

// Execute runs one command line. It prints the error it returns.
func (r *REPL) Execute(ctx context.Context, line string) error {
	r.s.Look() // what runs while it is looked at has moved on
	return r.run(ctx, line)
}

// run is Execute on the guest as it was last looked at.
func (r *REPL) run(ctx context.Context, line string) error {
	defer r.flush()
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	word, args := split(line)
	c, err := lookup(r.cmds, word)
	if err != nil {
		r.complain(err)
		return err
	}
	if r.left && !c.alone {
		r.complain(errNoGuest)
		return errNoGuest
	}
	r.last = ""
	if c.repeat {
		r.last = line
	}
	if c.controls && r.s.Observing() {
		err = r.takeOver(ctx)
	}
	if err == nil {
		err = c.run(ctx, r, args)
	}
	if err != nil && ctx.Err() != nil {
		err = errQuit // the session's end broke the command off: not its failure
	}
	if err != nil && !errors.Is(err, errQuit) {
		r.complain(err)
	}
	if r.flush(); r.deaf != nil && err == nil {
		return errQuit
	}
	return err
}

// complain prints an error, and remembers that there was one.
func (r *REPL) complain(err error) {
	r.failed = true
	r.printf("%s%s%s\n", r.red(), Printable(err.Error()), r.plain())
}

func (r *REPL) printf(format string, args ...any) {
	// The writer keeps its first error; flush shows it to nobody, as there is
	// nobody left to read it.
	fmt.Fprintf(r.out, format, args...)
}

// flush writes what was printed. Nobody reads any more when that fails, which
// ends the session.
func (r *REPL) flush() {
	if err := r.out.Flush(); err != nil {
		r.deaf = err
		r.out.Reset(io.Discard)
	}
}

func (r *REPL) red() string   { return r.ansi("\x1b[31m") }
func (r *REPL) bold() string  { return r.ansi("\x1b[1m") }
func (r *REPL) dim() string   { return r.ansi("\x1b[2m") }
func (r *REPL) plain() string { return r.ansi("\x1b[0m") }

func (r *REPL) ansi(code string) string {
	if r.opt.Color {
		return code
	}
	return ""
}

// Printable escapes what the guest or a file could use to drive the terminal.
func Printable(s string) string {
	clean := true
	for _, c := range s {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0xfffd {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\n' || c == '\t':
			b.WriteRune(c)
		case c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0:
			fmt.Fprintf(&b, "\\x%02x", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
