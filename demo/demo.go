package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/repl"
)

// Options say how the demo runs.
type Options struct {
	Out io.Writer
	// Color allows ANSI colours.
	Color bool
	// Dump walks the road on the embedded dump even where there is QEMU.
	Dump bool
	// Collector is an OpenTelemetry receiver the spans go to (grpc://HOST:PORT
	// or http://HOST:PORT), "" to write them to a file.
	Collector string
	// Keep is a folder the demo leaves its files in, "" to leave none.
	Keep string
	// SourceRoot is the folder of the guest's sources, "" to search for it.
	SourceRoot string
}

// walk is one run of the demo.
type walk struct {
	opt Options
	out *bufio.Writer
	dir string
	dbg string
}

// Run walks the road and ends by itself.
func Run(ctx context.Context, opt Options) (err error) {
	w := &walk{opt: opt, out: bufio.NewWriter(opt.Out), dir: opt.Keep}
	defer func() { err = errors.Join(err, w.out.Flush()) }()
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp("", "ukdbg-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	} else if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	if w.dbg, err = unpack(w.dir, debugFile, imageName+".dbg"); err != nil {
		return err
	}
	_, lookErr := exec.LookPath(qemu)
	if opt.Dump || lookErr != nil {
		return w.dead(ctx, lookErr != nil)
	}
	return w.live(ctx)
}

// live walks the road on a guest in QEMU.
func (w *walk) live(ctx context.Context) (err error) {
	kernel, err := unpack(w.dir, bootFile, imageName)
	if err != nil {
		return err
	}
	w.title("A unikernel that serves requests, booted in QEMU; nothing in it knows of ukdbg")
	g, err := boot(ctx, w.dir, "guest", kernel, "demo rate=1000 burn", "requests served")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := w.visit(ctx, g.gdb, "attach", w.alive); err != nil {
		return err
	}
	w.title("The same unikernel dies: a null pointer, 40 requests after its start")
	c, err := boot(ctx, w.dir, "crashed", kernel, "demo fault=null after=40", "Crashing")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := w.visit(ctx, c.gdb, "attach", w.died); err != nil {
		return err
	}
	return w.crashLog(ctx, c.console)
}

// dead walks the road on the embedded dump.
func (w *walk) dead(ctx context.Context, noQEMU bool) error {
	dump, err := unpack(w.dir, dumpFile, "crash.dump")
	if err != nil {
		return err
	}
	w.title("A memory dump of a unikernel that died, 40 requests after its start")
	err = w.visit(ctx, "core:"+dump, "attach", func(ctx context.Context, s *ukdbg.Session, r *repl.REPL) error {
		if err := w.died(ctx, s, r); err != nil {
			return err
		}
		return w.alive(ctx, s, r)
	})
	if noQEMU {
		fmt.Fprintf(w.out, "\nThis was a dump. To see it live, with a profile of the running guest: install QEMU\n(apt-get install qemu-system-x86) and run the demo again.\n")
	}
	return err
}

// visit opens a session, shows it, and gives the guest back.
func (w *walk) visit(ctx context.Context, target, verb string, show func(context.Context, *ukdbg.Session, *repl.REPL) error) (err error) {
	fmt.Fprintf(w.out, "$ ukdbg %s %s -e %s.dbg\n", verb, shorten(target), imageName)
	opt := ukdbg.Options{Target: target, Image: w.dbg}
	if root := w.sources(); root != "" {
		opt.SourceMap = []ukdbg.SourceMap{{From: "/src/guest", To: root}}
	}
	s, err := ukdbg.Open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() {
		bye, lerr := s.Leave(context.WithoutCancel(ctx))
		if lerr == nil && s.Live() {
			fmt.Fprintf(w.out, "%s\n", ukdbg.FarewellText(bye))
		}
		err = errors.Join(err, lerr)
	}()
	r := repl.New(s, repl.Options{In: nil, Out: w.out, Color: w.opt.Color})
	r.Welcome(ctx)
	return show(ctx, s, r)
}

func shorten(target string) string {
	if len(target) > 5 && target[:5] == "unix:" {
		return "unix:" + filepath.Base(target[5:])
	}
	return filepath.Base(target)
}

// sources finds the guest's sources: told, or in the folder or one above it.
func (w *walk) sources() string {
	if w.opt.SourceRoot != "" {
		return w.opt.SourceRoot
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for range 4 {
		if _, err := os.Stat(filepath.Join(dir, "guest", "app", "server.c")); err == nil {
			return filepath.Join(dir, "guest")
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

func (w *walk) title(text string) { fmt.Fprintf(w.out, "\n── %s ──\n", text) }

// commands runs REPL commands and shows them as if they were typed.
func (w *walk) commands(ctx context.Context, r *repl.REPL, lines ...string) error {
	for _, l := range lines {
		fmt.Fprintf(w.out, "(ukdbg) %s\n", l)
		if err := w.out.Flush(); err != nil {
			return err
		}
		if err := r.Execute(ctx, l); err != nil {
			return fmt.Errorf("demo command %q: %w", l, err)
		}
	}
	return nil
}
